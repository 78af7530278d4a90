package main

import (
	"fmt"
	"os"
)

const fanOut = 10

func grow(parent chan int, number, leaves int) {
	if leaves == 1 {
		parent <- number
		return
	}
	sums := make(chan int)
	for i := 0; i < fanOut; i++ {
		go grow(sums, number+i*(leaves/fanOut), leaves/fanOut)
	}
	sum := 0
	for i := 0; i < fanOut; i++ {
		sum += <-sums
	}
	parent <- sum
}

func skynet(args []string) {
	r := newRun("skynet", 1, 1000000)
	r.parse(args)
	gs := 1
	for level := *r.n; level > 1; level /= fanOut {
		if level%fanOut != 0 {
			fmt.Fprintln(os.Stderr, "-n: not a power of ten")
			os.Exit(2)
		}
		gs = gs*fanOut + 1
	}

	r.start()
	root := make(chan int)
	go grow(root, 0, *r.n)
	sum := <-root
	r.stop()

	check("sum of the leaves", sum, *r.n*(*r.n-1)/2)
	f := r.figures(1)
	f["gs"] = gs
	f["elapsed_ms"] = r.wall.Seconds() * 1e3
	f.print()
}
