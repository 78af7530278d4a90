package main

import (
	"os"
	"sync"
)

// fibChan waits for its child through a channel of capacity 1.
func fibChan(k int) int {
	if k < 2 {
		return k
	}
	theirs := make(chan int, 1)
	go func() { theirs <- fibChan(k - 1) }()
	mine := fibChan(k - 2)
	return <-theirs + mine
}

// fibPair is one allocation for the wait group and the result together.
type fibPair struct {
	wg     sync.WaitGroup
	k      int
	result int
}

func (p *fibPair) compute() {
	p.result = fibWG(p.k)
	p.wg.Done()
}

// fibWG waits for its child through a wait group.
func fibWG(k int) int {
	if k < 2 {
		return k
	}
	p := &fibPair{k: k - 1}
	p.wg.Add(1)
	go p.compute()
	mine := fibWG(k - 2)
	p.wg.Wait()
	return p.result + mine
}

func fib(args []string) {
	r := newRun("fib", 1, 27)
	join := r.flags.String("join", "chan", "how to wait: chan or wg")
	r.parse(args)
	compute := map[string]func(int) int{"chan": fibChan, "wg": fibWG}[*join]
	if compute == nil {
		r.flags.Usage()
		os.Exit(2)
	}

	r.start()
	result := compute(*r.n)
	r.stop()

	want, next := 0, 1
	for i := 0; i < *r.n; i++ {
		want, next = next, want+next
	}
	check("fib", result, want)
	f := r.figures(1)
	f["join"] = *join
	spawns := next - 1
	f["spawns"] = spawns
	if spawns > 0 {
		f["ns_per_spawn"] = float64(r.wall) / float64(spawns)
	}
	f["elapsed_ms"] = r.wall.Seconds() * 1e3
	f.print()
}
