package main

import "sync"

func buffered(args []string) {
	r := newRun("buffered", 1, 10000000)
	producers := r.flags.Int("producers", 1, "goroutines that send")
	consumers := r.flags.Int("consumers", 1, "goroutines that receive")
	capacity := r.flags.Int("cap", 128, "capacity of the channel")
	r.parse(args, producers, consumers)
	each := *r.n / *producers
	items := make(chan int, *capacity)
	sums := make([]int, *consumers)
	var sent, received sync.WaitGroup

	r.start()
	received.Add(*consumers)
	for c := range sums {
		go func(to *int) {
			sum := 0
			for item := range items {
				sum += item
			}
			*to = sum
			received.Done()
		}(&sums[c])
	}
	sent.Add(*producers)
	for p := 0; p < *producers; p++ {
		go func() {
			for i := 0; i < each; i++ {
				items <- i
			}
			sent.Done()
		}()
	}
	sent.Wait()
	close(items)
	received.Wait()
	r.stop()

	sum := 0
	for _, part := range sums {
		sum += part
	}
	check("sum of what was received", sum, *producers*(each*(each-1)/2))
	f := r.figures(each * *producers)
	f["producers"] = *producers
	f["consumers"] = *consumers
	f["cap"] = *capacity
	f.print()
}
