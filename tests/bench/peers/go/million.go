package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

// million is the twin of examples/tools/thrum_million.c: the same pattern on the
// stack, the same element, one channel. Memory is what the process holds when all
// goroutines wait, as it is then: no collection is asked for, none is avoided.

type elem struct{ number, check uint64 }

const words = 25 // 200 bytes

type crowd struct {
	elems         chan elem
	parked, ended sync.WaitGroup
	arrived       []byte
}

func wrong(what string, number uint64) {
	fmt.Fprintf(os.Stderr, "%s of %d is wrong\n", what, number)
	os.Exit(1)
}

func (c *crowd) waiter(index uint64) {
	var own [words]uint64
	base := index * words
	for i := range own {
		own[i] = random(base + uint64(i))
	}
	c.parked.Done()
	e := <-c.elems
	for i := range own {
		if own[i] != random(base+uint64(i)) {
			wrong("the stack", index)
		}
	}
	if e.number >= uint64(len(c.arrived)) || e.check != random(^e.number) || c.arrived[e.number] != 0 {
		wrong("the element", e.number)
	}
	c.arrived[e.number]++
	c.ended.Done()
}

// memory is resident memory and page tables, in bytes.
func memory() (rss, tables float64) {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		panic(err)
	}
	for _, line := range strings.Split(string(text), "\n") {
		fields := strings.Fields(line)
		if len(fields) < 2 {
			continue
		}
		kib, _ := strconv.ParseFloat(fields[1], 64)
		switch fields[0] {
		case "VmRSS:":
			rss = kib * 1024
		case "VmPTE:":
			tables = kib * 1024
		}
	}
	return rss, tables
}

func mappings() int {
	text, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		panic(err)
	}
	return strings.Count(string(text), "\n")
}

func million(args []string) {
	r := newRun("million", 1, 1000000)
	r.parse(args)
	n := *r.n
	c := &crowd{elems: make(chan elem), arrived: make([]byte, n)}
	for i := range c.arrived {
		c.arrived[i] = 1 // touched, so that it counts at the start
	}
	for i := range c.arrived {
		c.arrived[i] = 0
	}
	c.parked.Add(n)
	c.ended.Add(n)
	startRSS, startTables := memory()

	r.start()
	for i := 0; i < n; i++ {
		go c.waiter(uint64(i))
	}
	c.parked.Wait()
	r.stop()
	time.Sleep(10 * time.Millisecond)
	rss, tables := memory()
	vmas := mappings()

	woken, wokenCPU := time.Now(), cpuTime()
	for i := uint64(0); i < uint64(n); i++ {
		c.elems <- elem{i, random(^i)}
	}
	c.ended.Wait()
	wake, wakeCPU := time.Since(woken), cpuTime()-wokenCPU
	for i, times := range c.arrived {
		check("element "+strconv.Itoa(i), int(times), 1)
	}
	time.Sleep(time.Second)
	leftRSS, _ := memory()

	f := r.figures(n)
	f["parked_bytes"] = (rss + tables - startRSS - startTables) / float64(n)
	f["parked_gib"] = (rss + tables) / (1 << 30)
	f["vmas"] = vmas
	f["wake_ns"] = float64(wake) / float64(n)
	f["wake_cpu_ns"] = float64(wakeCPU) / float64(n)
	f["left_mib"] = (leftRSS - startRSS) / (1 << 20)
	f.print()
}
