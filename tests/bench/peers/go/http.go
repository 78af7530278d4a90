package main

import (
	"bytes"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

// serveFiles is the twin of examples/apps/httpd: what a Go programmer writes to
// serve a directory. It prints its port and serves until it is killed.
func serveFiles(args []string) {
	r := newRun("http", 1, 1)
	root := r.flags.String("root", ".", "the directory")
	port := r.flags.Int("port", 0, "where to listen; 0: any")
	cached := r.flags.Bool("cached", false, "keep small.txt in memory and serve it alone")
	r.parse(args)
	listener, err := net.Listen("tcp", fmt.Sprint("127.0.0.1:", *port))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	handler := http.FileServer(http.Dir(*root))
	if *cached {
		handler = keeping(filepath.Join(*root, "small.txt"))
	}
	log.Fatal(http.Serve(listener, handler))
}

// keeping serves one file from memory, with ranges and dates all the same.
func keeping(path string) http.Handler {
	contents, err := os.ReadFile(path)
	if err != nil {
		log.Fatal(err)
	}
	began := time.Now()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.ServeContent(w, r, path, began, bytes.NewReader(contents))
	})
}
