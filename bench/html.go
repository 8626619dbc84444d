package bench

import (
	"bytes"
	"fmt"
	"html"
	"io"
	"math"
	"strings"
)

// HTML writes the report as one page that needs nothing else: two plots and the tables. It is well-formed XML as well.
func (r *Result) HTML(out io.Writer) error {
	var tables bytes.Buffer
	if err := r.Print(&tables); err != nil {
		return err
	}
	var b strings.Builder
	b.WriteString(pageHead)
	fmt.Fprintf(&b, "<h1>Kestrel benchmark</h1>\n<p>%s rules, %s events, %s, %d cores, load %s</p>\n", grouped(int64(r.Rules)),
		grouped(int64(r.Events)), html.EscapeString(r.Machine.CPU), r.Machine.Cores, html.EscapeString(r.Machine.Load))
	if p := r.scalePlot(); p != nil {
		p.write(&b)
	}
	if p := r.latencyPlot(); p != nil {
		p.write(&b)
	}
	fmt.Fprintf(&b, "<h2>All figures</h2>\n<pre>%s</pre>\n</body>\n</html>\n", html.EscapeString(tables.String()))
	_, err := io.WriteString(out, b.String())
	return err
}

const pageHead = `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8"/>
<title>Kestrel benchmark</title>
<style>
body { font: 15px/1.5 system-ui, sans-serif; margin: 2em auto; max-width: 75em; padding: 0 1em; color: #1c1c1c; background: #fff }
h1, h2 { font-weight: 600 }
pre { font-size: 12px; overflow-x: auto }
svg text { font: 12px system-ui, sans-serif; fill: #444 }
</style>
</head>
<body>
`

// Size of a plot and of its margins, in pixels.
const (
	plotWide, plotHigh       = 760.0, 320.0
	marginLeft, marginBottom = 80.0, 44.0
	marginTop, marginRight   = 14.0, 130.0
)

var plotColours = [...]string{"#1f6f8b", "#c8553d", "#6a994e"}

type point struct{ x, y float64 }

// series is one line of a plot.
type series struct {
	name   string
	points []point
}

// plot has two logarithmic axes.
type plot struct {
	title, xName, yName string
	series              []series
	bars                bool
	marks               []point // vertical lines; y counts for nothing
	markNames           []string
}

func (r *Result) scalePlot() *plot {
	if len(r.Scale) == 0 {
		return nil
	}
	p := &plot{title: "Cost of an event against the number of rules", xName: "rules", yName: "ns per event, one core",
		series: []series{{name: "engine"}, {name: "rule by rule"}, {name: "interpreter"}}}
	for _, s := range r.Scale {
		if s.Refused != "" {
			continue
		}
		x := float64(s.Rules)
		p.series[0].points = append(p.series[0].points, point{x, s.Event.Median})
		if s.Direct != nil {
			p.series[1].points = append(p.series[1].points, point{x, s.Direct.Median})
			p.series[2].points = append(p.series[2].points, point{x, s.Reference})
		}
	}
	return p
}

func (r *Result) latencyPlot() *plot {
	if r.Latency == nil {
		return nil
	}
	p := &plot{title: "Latency of one event", xName: "ns", yName: "events", bars: true, series: []series{{}}}
	for _, b := range r.Latency.Buckets {
		p.series[0].points = append(p.series[0].points, point{float64(max(b.From, 1)), float64(b.Count)})
	}
	l := &r.Latency.All
	p.marks = []point{{x: float64(l.P50)}, {x: float64(l.P99)}, {x: float64(l.P999)}}
	p.markNames = []string{"p50", "p99", "p99.9"}
	return p
}

// bounds are the ends of the axes, as powers of ten.
func (p *plot) bounds() (x0, x1, y0, y1 float64) {
	x0, y0 = math.Inf(1), math.Inf(1)
	x1, y1 = math.Inf(-1), math.Inf(-1)
	for _, s := range p.series {
		for _, q := range s.points {
			x, y := math.Log10(q.x), math.Log10(math.Max(q.y, 1))
			x0, x1, y0, y1 = math.Min(x0, x), math.Max(x1, x), math.Min(y0, y), math.Max(y1, y)
		}
	}
	if math.IsInf(x0, 0) {
		return 0, 1, 0, 1
	}
	x0, x1, y0, y1 = math.Floor(x0), math.Ceil(x1), math.Floor(y0), math.Ceil(y1)
	return x0, math.Max(x1, x0+1), y0, math.Max(y1, y0+1)
}

func (p *plot) write(b *strings.Builder) {
	x0, x1, y0, y1 := p.bounds()
	at := func(q point) (x, y float64) {
		return marginLeft + (math.Log10(math.Max(q.x, 1))-x0)/(x1-x0)*(plotWide-marginLeft-marginRight),
			plotHigh - marginBottom - (math.Log10(math.Max(q.y, 1))-y0)/(y1-y0)*(plotHigh-marginTop-marginBottom)
	}
	fmt.Fprintf(b, "<h2>%s</h2>\n<svg viewBox=\"0 0 %.0f %.0f\" width=\"%.0f\" height=\"%.0f\" role=\"img\">\n", p.title, plotWide,
		plotHigh, plotWide, plotHigh)
	bottom, right := plotHigh-marginBottom, plotWide-marginRight
	for d := x0; d <= x1; d++ {
		x, _ := at(point{math.Pow(10, d), 1})
		rule(b, x, marginTop, x, bottom, "#ddd")
		label(b, x, bottom+16, "middle", grouped(int64(math.Pow(10, d))))
	}
	for d := y0; d <= y1; d++ {
		_, y := at(point{1, math.Pow(10, d)})
		rule(b, marginLeft, y, right, y, "#ddd")
		label(b, marginLeft-6, y+4, "end", grouped(int64(math.Pow(10, d))))
	}
	label(b, (marginLeft+right)/2, plotHigh-8, "middle", p.xName)
	fmt.Fprintf(b, "<text x=\"14\" y=\"%.1f\" text-anchor=\"middle\" transform=\"rotate(-90 14 %.1f)\">%s</text>\n", bottom/2, bottom/2,
		p.yName)
	for i, s := range p.series {
		if p.bars {
			drawBars(b, s, at, bottom)
		} else {
			drawLine(b, s, at, plotColours[i])
		}
	}
	for i, m := range p.marks {
		x, _ := at(m)
		rule(b, x, marginTop, x, bottom, "#c8553d")
		label(b, x+3, marginTop+10+12*float64(i), "start", fmt.Sprintf("%s %s", p.markNames[i], grouped(int64(m.x))))
	}
	b.WriteString("</svg>\n")
}

func drawLine(b *strings.Builder, s series, at func(point) (float64, float64), colour string) {
	if len(s.points) == 0 {
		return
	}
	var path []string
	var x, y float64
	for _, q := range s.points {
		x, y = at(q)
		path = append(path, fmt.Sprintf("%.1f,%.1f", x, y))
		fmt.Fprintf(b, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3.5\" fill=\"%s\"><title>%s, %s: %.0f ns</title></circle>\n", x, y, colour,
			s.name, grouped(int64(q.x)), q.y)
	}
	fmt.Fprintf(b, "<polyline fill=\"none\" stroke=\"%s\" stroke-width=\"2\" points=\"%s\"/>\n", colour, strings.Join(path, " "))
	label(b, x+8, y+4, "start", s.name)
}

// drawBars draws a bucket as wide as it is: a fourth of an octave.
func drawBars(b *strings.Builder, s series, at func(point) (float64, float64), bottom float64) {
	for _, q := range s.points {
		x, y := at(q)
		next, _ := at(point{q.x * 1.19, q.y})
		fmt.Fprintf(b, "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" fill=\"%s\"><title>from %s ns: %.0f</title></rect>\n",
			x, y, math.Max(next-x-0.5, 0.5), math.Max(bottom-y, 1), plotColours[0], grouped(int64(q.x)), q.y)
	}
}

func rule(b *strings.Builder, x1, y1, x2, y2 float64, colour string) {
	fmt.Fprintf(b, "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" stroke=\"%s\"/>\n", x1, y1, x2, y2, colour)
}

func label(b *strings.Builder, x, y float64, anchor, text string) {
	fmt.Fprintf(b, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">%s</text>\n", x, y, anchor, html.EscapeString(text))
}
