package main

import "os"

func fanIn(r *run, capacity int) (ops int) {
	each := *r.n / 4
	var c [4]chan int
	for i := range c {
		c[i] = make(chan int, capacity)
	}
	c0, c1, c2, c3 := c[0], c[1], c[2], c[3]
	sum := 0

	r.start()
	for i := range c {
		go func(to chan int) {
			for i := 0; i < each; i++ {
				to <- i
			}
		}(c[i])
	}
	for left := each * 4; left > 0; left-- {
		var value int
		select {
		case value = <-c0:
		case value = <-c1:
		case value = <-c2:
		case value = <-c3:
		}
		sum += value
	}
	r.stop()

	check("sum of what was received", sum, 4*(each*(each-1)/2))
	return each * 4
}

func oneReady(r *run) (ops int) {
	each := *r.n / 2
	live, silent := make(chan int, 1), make(chan int, 1)
	sum, wrong := 0, 0

	r.start()
	for i := 0; i < each; i++ {
		select {
		case live <- i:
		case <-silent:
			wrong++
		}
		select {
		case value := <-live:
			sum += value
		case <-silent:
			wrong++
		}
	}
	r.stop()

	check("selects of the silent arm", wrong, 0)
	check("sum of what was received", sum, each*(each-1)/2)
	return each * 2
}

func selects(args []string) {
	r := newRun("select", 1, 2000000)
	capacity := r.flags.Int("cap", 0, "capacity of each of the four")
	mode := r.flags.String("mode", "fanin", "fanin or ready")
	r.parse(args)
	var ops int
	switch *mode {
	case "fanin":
		ops = fanIn(r, *capacity)
	case "ready":
		ops = oneReady(r)
	default:
		r.flags.Usage()
		os.Exit(2)
	}
	f := r.figures(ops)
	f["mode"] = *mode
	f["cap"] = *capacity
	f.print()
}
