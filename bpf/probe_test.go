package bpf

import "testing"

// TestProbe prints what this kernel can do; every check must have been made and must explain itself.
func TestProbe(t *testing.T) {
	r := Probe()
	for _, name := range []string{CheckBTF, CheckRing, CheckTracefs, CheckSyscalls, CheckTracepoint, CheckTpBTF,
		CheckFentry, CheckLSMList, CheckLSM, CheckFanotify, CheckFanotifyAsk, CheckConnector, CheckCaps, CheckCapture} {
		c, ok := r.Check(name)
		if !ok {
			t.Errorf("no check %q", name)
			continue
		}
		t.Logf("%-40s %-15s %s", c.Name, c.Answer, c.Detail)
		if c.Answer != Yes && c.Detail == "" {
			t.Errorf("%s: %s without a reason", c.Name, c.Answer)
		}
	}
	if len(r.Checks) != 14 {
		t.Errorf("%d checks, want 14", len(r.Checks))
	}
	if c, _ := r.Check(CheckCapture); (c.Answer == Yes) != (r.Tier != TierAuto) {
		t.Errorf("capture %s, tier %s", c.Answer, r.Tier)
	}
}
