package eql

// Walk calls f for n and everything below it, parents first, in source order.
// When f returns false the children of that node are skipped. MaxSpan nodes are
// visited; nil nodes are not.
func Walk(n Node, f func(Node) bool) {
	if !f(n) {
		return
	}
	switch n := n.(type) {
	case *Query:
		walkList(n.By, f)
		if n.MaxSpan != nil {
			Walk(n.MaxSpan, f)
		}
		for _, stage := range n.Stages {
			Walk(stage, f)
		}
		if n.Until != nil {
			Walk(n.Until, f)
		}
		for _, pipe := range n.Pipes {
			Walk(pipe, f)
		}
	case *Stage:
		if n.Event != nil {
			Walk(n.Event, f)
		}
		walkList(n.By, f)
	case *Event:
		if n.Where != nil {
			Walk(n.Where, f)
		}
	case *Pipe:
		walkList(n.Args, f)
	case *Call:
		walkList(n.Args, f)
	case *Unary:
		Walk(n.X, f)
	case *Arith:
		Walk(n.L, f)
		Walk(n.R, f)
	case *Compare:
		Walk(n.L, f)
		Walk(n.R, f)
	case *Match:
		Walk(n.X, f)
		walkList(n.Values, f)
	case *Not:
		Walk(n.X, f)
	case *Logical:
		walkList(n.Args, f)
	case *Lineage:
		if n.Event != nil {
			Walk(n.Event, f)
		}
	}
}

func walkList(list []Expr, f func(Node) bool) {
	for _, x := range list {
		Walk(x, f)
	}
}
