package main

import (
	"bufio"
	"fmt"
	"hash/maphash"
	"io"
	"log"
	"net"
	"strconv"
	"sync"
)

// serveKeys is the twin of examples/apps/kv, as far as a benchmark asks: PING, GET,
// SET, INCR and MSET over net and bufio, one goroutine per connection, 64 maps with
// a mutex each, answers flushed when no request is left in the buffer. It prints its
// port and serves until it is killed.
func serveKeys(args []string) {
	r := newRun("kv", 1, 1)
	port := r.flags.Int("port", 0, "where to listen; 0: any")
	r.parse(args)
	listener, err := net.Listen("tcp", fmt.Sprint("127.0.0.1:", *port))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	s := &keyStore{seed: maphash.MakeSeed()}
	for i := range s.shards {
		s.shards[i].values = map[string]*keyValue{}
	}
	for {
		conn, err := listener.Accept()
		if err != nil {
			log.Fatal(err)
		}
		go s.serve(conn)
	}
}

type keyShard struct {
	sync.Mutex
	values map[string]*keyValue // found without a copy of the key
	_      [64]byte
}

type keyValue struct{ bytes []byte }

type keyStore struct {
	seed   maphash.Seed
	shards [64]keyShard
}

func (s *keyStore) shard(key []byte) *keyShard {
	return &s.shards[maphash.Bytes(s.seed, key)%64]
}

func (s *keyStore) get(key []byte) ([]byte, bool) {
	shard := s.shard(key)
	shard.Lock()
	defer shard.Unlock()
	if v := shard.values[string(key)]; v != nil {
		return v.bytes, true
	}
	return nil, false
}

// set keeps value, which must be the map's own.
func (s *keyStore) set(key, value []byte) {
	shard := s.shard(key)
	shard.Lock()
	shard.put(key, value)
	shard.Unlock()
}

func (shard *keyShard) put(key, value []byte) {
	if v := shard.values[string(key)]; v != nil {
		v.bytes = value
	} else {
		shard.values[string(key)] = &keyValue{value}
	}
}

func (s *keyStore) incr(key []byte) (int64, error) {
	shard := s.shard(key)
	shard.Lock()
	defer shard.Unlock()
	n := int64(0)
	if v := shard.values[string(key)]; v != nil {
		var err error
		if n, err = strconv.ParseInt(string(v.bytes), 10, 64); err != nil {
			return 0, err
		}
	}
	n++
	shard.put(key, strconv.AppendInt(nil, n, 10))
	return n, nil
}

// keyConn is a connection: its words lie in one buffer that every request uses anew.
type keyConn struct {
	in    *bufio.Reader
	out   *bufio.Writer
	bytes []byte
	ends  []int
	words [][]byte
	digit [32]byte
}

func (c *keyConn) number(kind byte) (int, error) {
	line, err := c.in.ReadSlice('\n')
	if err != nil {
		return 0, err
	}
	if len(line) < 4 || line[0] != kind {
		return 0, io.ErrUnexpectedEOF
	}
	n := 0
	for _, digit := range line[1 : len(line)-2] {
		if digit < '0' || digit > '9' || n > 1<<26 {
			return 0, io.ErrUnexpectedEOF
		}
		n = n*10 + int(digit-'0')
	}
	return n, nil
}

func (c *keyConn) read() error {
	n, err := c.number('*')
	if err != nil {
		return err
	}
	c.bytes, c.ends, c.words = c.bytes[:0], c.ends[:0], c.words[:0]
	for ; n > 0; n-- {
		size, err := c.number('$')
		if err != nil {
			return err
		}
		from := len(c.bytes)
		for cap(c.bytes) < from+size+2 {
			c.bytes = append(c.bytes[:cap(c.bytes)], 0)
		}
		c.bytes = c.bytes[:from+size+2]
		if _, err := io.ReadFull(c.in, c.bytes[from:]); err != nil {
			return err
		}
		c.bytes = c.bytes[:from+size]
		c.ends = append(c.ends, from+size)
	}
	from := 0
	for _, end := range c.ends {
		c.words = append(c.words, c.bytes[from:end])
		from = end
	}
	return nil
}

func (c *keyConn) head(kind byte, n int64) {
	c.out.WriteByte(kind)
	c.out.Write(strconv.AppendInt(c.digit[:0], n, 10))
	c.out.WriteString("\r\n")
}

func (c *keyConn) bulk(value []byte) {
	c.head('$', int64(len(value)))
	c.out.Write(value)
	c.out.WriteString("\r\n")
}

func (s *keyStore) serve(conn net.Conn) {
	defer conn.Close()
	c := &keyConn{in: bufio.NewReaderSize(conn, 16<<10), out: bufio.NewWriterSize(conn, 16<<10)}
	for c.read() == nil {
		s.run(c)
		if c.in.Buffered() == 0 && c.out.Flush() != nil {
			return
		}
	}
}

func (s *keyStore) run(c *keyConn) {
	words := c.words
	if len(words) == 0 {
		return
	}
	name := words[0]
	switch { // in capitals, as a benchmark writes them
	case string(name) == "GET" && len(words) == 2:
		if value, ok := s.get(words[1]); ok {
			c.bulk(value)
		} else {
			c.out.WriteString("$-1\r\n")
		}
	case string(name) == "SET" && len(words) == 3:
		s.set(words[1], append([]byte(nil), words[2]...))
		c.out.WriteString("+OK\r\n")
	case string(name) == "MSET" && len(words)%2 == 1:
		for i := 1; i < len(words); i += 2 {
			s.set(words[i], append([]byte(nil), words[i+1]...))
		}
		c.out.WriteString("+OK\r\n")
	case string(name) == "INCR" && len(words) == 2:
		if n, err := s.incr(words[1]); err == nil {
			c.head(':', n)
		} else {
			c.out.WriteString("-ERR value is not an integer or out of range\r\n")
		}
	case string(name) == "PING":
		c.out.WriteString("+PONG\r\n")
	default: // CONFIG GET, which redis-benchmark asks first
		c.out.WriteString("*0\r\n")
	}
}
