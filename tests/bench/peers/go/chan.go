package main

import "sync"

func pingPong(args []string) {
	r := newRun("chan", 1, 2000000)
	r.parse(args)
	n := *r.n
	there, back := make(chan int), make(chan int)
	var ended sync.WaitGroup
	returned := 0

	r.start()
	ended.Add(2)
	go func() {
		for i := 0; i < n; i++ {
			back <- <-there
		}
		ended.Done()
	}()
	go func() {
		sum := 0
		for i := 0; i < n; i++ {
			there <- i
			sum += <-back
		}
		returned = sum
		ended.Done()
	}()
	ended.Wait()
	r.stop()

	check("sum of what came back", returned, n*(n-1)/2)
	r.figures(n).print()
}
