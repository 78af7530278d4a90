/* The echo server over raw epoll: the least that a server can do. Edge-triggered,
 * each socket registered once; a short read has emptied the socket, so no read
 * is spent on hearing EAGAIN. With --procs N as many threads, each with an epoll
 * of its own, the connections dealt out by turns.
 *
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE 1
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BUFFER = 4096, EVENTS = 512, MAX_PROCS = 64 };

typedef struct conn {
  int fd;
  size_t begin, end; /* what is read and not yet written */
  char buffer[BUFFER];
} conn;

static int procs = 1, listener;
static int epolls[MAX_PROCS];

static void die(const char* what) {
  perror(what);
  exit(1);
}

/* 0: the connection is over. */
static int serve(conn* c) {
  for (int drained = 0;;) {
    while (c->begin < c->end) {
      ssize_t n = write(c->fd, c->buffer + c->begin, c->end - c->begin);
      if (n < 0) {
        return errno == EAGAIN;
      }
      c->begin += (size_t)n;
    }
    if (drained) {
      return 1;
    }
    ssize_t n = read(c->fd, c->buffer, BUFFER);
    if (n <= 0) {
      return n < 0 && errno == EAGAIN;
    }
    c->begin = 0;
    c->end = (size_t)n;
    drained = n < BUFFER;
  }
}

static void accept_all(void) {
  static int turn;
  int fd;
  while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >=
         0) {
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    conn* c = calloc(1, sizeof *c);
    if (c == NULL) {
      die("calloc");
    }
    c->fd = fd;
    struct epoll_event event;
    event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
    event.data.ptr = c;
    if (epoll_ctl(epolls[turn++ % procs], EPOLL_CTL_ADD, fd, &event) < 0) {
      die("epoll_ctl");
    }
  }
}

static void* loop(void* arg) {
  int epoll_fd = *(int*)arg;
  struct epoll_event events[EVENTS];
  for (;;) {
    int n = epoll_wait(epoll_fd, events, EVENTS, -1);
    for (int i = 0; i < n; i++) {
      conn* c = events[i].data.ptr;
      if (c == NULL) {
        accept_all();
      } else if (!serve(c)) {
        close(c->fd);
        free(c);
      }
    }
  }
  return NULL;
}

static int listen_anywhere(void) {
  listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  struct sockaddr_in at;
  socklen_t size = sizeof at;
  memset(&at, 0, sizeof at);
  at.sin_family = AF_INET;
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (listener < 0 || bind(listener, (struct sockaddr*)&at, size) < 0 ||
      listen(listener, SOMAXCONN) < 0 ||
      getsockname(listener, (struct sockaddr*)&at, &size) < 0) {
    die("listen");
  }
  return ntohs(at.sin_port);
}

int main(int argc, char** argv) {
  if (argc == 3 && strcmp(argv[1], "--procs") == 0) {
    procs = atoi(argv[2]);
  }
  if (procs < 1 || procs > MAX_PROCS) {
    fprintf(stderr, "usage: %s [--procs N]\n", argv[0]);
    return 2;
  }
  int port = listen_anywhere();
  for (int i = 0; i < procs; i++) {
    epolls[i] = epoll_create1(EPOLL_CLOEXEC);
    if (epolls[i] < 0) {
      die("epoll_create1");
    }
  }
  struct epoll_event event;
  event.events = EPOLLIN;
  event.data.ptr = NULL;
  if (epoll_ctl(epolls[0], EPOLL_CTL_ADD, listener, &event) < 0) {
    die("epoll_ctl");
  }
  printf("%d\n", port);
  fflush(stdout);
  for (int i = 1; i < procs; i++) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, loop, &epolls[i]) != 0) {
      die("pthread_create");
    }
  }
  loop(&epolls[0]);
  return 0;
}
