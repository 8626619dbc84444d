// Package agree holds tests that run one query through everything that can execute it: the device engine on a compiled
// and reloaded image, the interpreter of typed rules, and the hunt, which evaluates the parsed query over JSON and shares
// no code with the others. All must find the same events. The queries and events are generated; the seed of a failure is
// printed, and -agree.seed repeats it. Nothing is exported.
package agree
