// The Go twin of tests/bench (and of hog in tests/lab): the same work under the same flags and the same
// JSON, one subcommand per subject. Each is written as a Go programmer would
// write it for speed; nothing here is slower than it has to be so that thrum
// looks better. It measures what the C program measures: between start and
// stop, inside the main goroutine.
//
// SPDX-License-Identifier: MIT
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"os"
	"runtime"
	"sort"
	"syscall"
	"time"
)

var subjects = map[string]func([]string){
	"yield":    yield,
	"chan":     pingPong,
	"buffered": buffered,
	"spawn":    spawn,
	"skynet":   skynet,
	"fib":      fib,
	"mutex":    mutex,
	"timers":   timers,
	"sleep":    sleep,
	"select":   selects,
	"locked":   locked,
	"hog":      hog,
	"quota":    quota,
	"million":  million,
	"echo":     echo,
	"http":     serveFiles,
	"kv":       serveKeys,
}

func main() {
	if len(os.Args) > 1 {
		if subject, ok := subjects[os.Args[1]]; ok {
			subject(os.Args[2:])
			return
		}
	}
	names := []string{}
	for name := range subjects {
		names = append(names, name)
	}
	sort.Strings(names)
	fmt.Fprintf(os.Stderr, "usage: %s subject [flags]; subjects: %v\n", os.Args[0], names)
	os.Exit(2)
}

// figures is the JSON object; a subject adds its own keys.
type figures map[string]interface{}

func (f figures) print() {
	out, err := json.Marshal(f)
	if err != nil {
		panic(err)
	}
	fmt.Println(string(out))
}

// run is one measured span of one subject.
type run struct {
	flags    *flag.FlagSet
	procs    *int
	n        *int
	began    time.Time
	beganCPU time.Duration
	wall     time.Duration
	cpu      time.Duration
}

func newRun(name string, procs, n int) *run {
	r := &run{flags: flag.NewFlagSet(name, flag.ExitOnError)}
	r.procs = r.flags.Int("procs", procs, "GOMAXPROCS")
	r.n = r.flags.Int("n", n, "how much work")
	return r
}

func (r *run) parse(args []string, numbers ...*int) {
	r.flags.Parse(args)
	ok := r.flags.NArg() == 0 && *r.procs > 0 && *r.n > 0
	for _, number := range numbers {
		ok = ok && *number > 0
	}
	if !ok {
		r.flags.Usage()
		os.Exit(2)
	}
	runtime.GOMAXPROCS(*r.procs)
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func (r *run) start() {
	r.beganCPU = cpuTime()
	r.began = time.Now()
}

func (r *run) stop() {
	r.wall = time.Since(r.began)
	r.cpu = cpuTime() - r.beganCPU
}

func (r *run) figures(ops int) figures {
	var u syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return figures{
		"bench":         r.flags.Name(),
		"runtime":       "go",
		"version":       runtime.Version(),
		"procs":         *r.procs,
		"n":             *r.n,
		"ops":           ops,
		"ns_per_op":     float64(r.wall) / float64(ops),
		"cpu_ns_per_op": float64(r.cpu) / float64(ops),
		"elapsed_s":     r.wall.Seconds(),
		"cpu_s":         r.cpu.Seconds(),
		"max_rss_kib":   u.Maxrss,
	}
}

// check ends a run whose result is wrong.
func check(what string, got, want int) {
	if got != want {
		fmt.Fprintf(os.Stderr, "%s: got %d, want %d\n", what, got, want)
		os.Exit(1)
	}
}

func (f figures) lateness(late []time.Duration) {
	sort.Slice(late, func(i, j int) bool { return late[i] < late[j] })
	// Nearest rank, as in the C programs.
	rank := func(q float64) float64 {
		at := int(math.Ceil(q * float64(len(late))))
		if at < 1 {
			at = 1
		}
		return float64(late[at-1]) / 1e3
	}
	f["late_min_us"] = float64(late[0]) / 1e3
	f["late_p50_us"] = rank(0.50)
	f["late_p99_us"] = rank(0.99)
	f["late_max_us"] = float64(late[len(late)-1]) / 1e3
}

// random is splitmix64 of an index: the same numbers as in the C programs.
func random(index uint64) uint64 {
	z := (index + 1) * 0x9E3779B97F4A7C15
	z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9
	z = (z ^ (z >> 27)) * 0x94D049BB133111EB
	return z ^ (z >> 31)
}
