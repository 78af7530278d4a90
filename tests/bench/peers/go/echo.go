package main

import (
	"fmt"
	"net"
	"os"
)

// echo is the server that tests/bench/echo_load drives: one goroutine per
// connection. It prints its port and serves until it is killed. A connection of
// Go's has TCP_NODELAY set from the start.
func echo(args []string) {
	r := newRun("echo", 1, 1)
	hogs := r.flags.Int("hogs", 0, "goroutines that compute")
	r.parse(args)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	for i := 0; i < *hogs; i++ {
		go echoHog()
	}
	for {
		conn, err := listener.Accept()
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		go echoConn(conn)
	}
}

func echoConn(conn net.Conn) {
	defer conn.Close()
	buffer := make([]byte, 4096)
	for {
		n, err := conn.Read(buffer)
		if err != nil {
			return
		}
		if _, err := conn.Write(buffer[:n]); err != nil {
			return
		}
	}
}

// echoHog computes for ever; Go preempts it by signal.
func echoHog() {
	for x := uint64(1); x != 0; x = x*6364136223846793005 | 1 {
	}
}
