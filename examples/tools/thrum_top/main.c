/* thrum_top: a live view of a running process: its Ps, the Gs that use the CPU, what
 * delays them, and when.
 *
 *   thrum_top [--once | --json] [--every MS] [--class NAME] [--light] PATH
 *
 * PATH is the socket of a process that was started with $THRUM_DEBUG_SOCKET=PATH, or
 * that calls thrum_debug_socket. Only processes of the same user can look. Without
 * options it draws the screen anew every second, until Ctrl-C.
 *
 *   --once   one screen, of the first MS
 *   --json   instead of it what the process tells, as it is
 *   --every  how often, in ms (1000)
 *   --class  the heat map of this class of Gs alone: migrate, pinned, domain; high,
 *            normal, low
 *   --light  waits are not measured: no table of Gs, no heat map, and no cost
 *
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE 1
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "screen.h"

static volatile sig_atomic_t over;
static void end(int signo) {
  (void)signo;
  over = 1;
}

static void fail(const char* what) {
  fprintf(stderr, "thrum_top: %s\n", what);
  exit(1);
}

/* ---- the process that is looked at ---------------------------------------------- */

static int call(const char* path) {
  struct sockaddr_un a = {.sun_family = AF_UNIX};
  if (strlen(path) >= sizeof a.sun_path)
    fail("the path is too long");
  memcpy(a.sun_path, path, strlen(path) + 1);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0 || connect(fd, (struct sockaddr*)&a, sizeof a) < 0) {
    fprintf(stderr, "thrum_top: %s: %s\n", path, strerror(errno));
    exit(1);
  }
  struct ucred who;
  socklen_t size = sizeof who;
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &size) < 0 ||
      who.uid != geteuid())
    fail("another user listens there");
  return fd;
}

/* What it answers; to be freed. NULL: it is no more. */
static char* ask(int fd, const char* words) {
  size_t n = 0, room = 1 << 16;
  char* text = malloc(room);
  if (!text)
    fail("no memory");
  if (send(fd, words, strlen(words), MSG_NOSIGNAL) != (ssize_t)strlen(words)) {
    free(text);
    return NULL;
  }
  do {
    if (room - n < 4096 && !(text = realloc(text, room *= 2)))
      fail("no memory");
    ssize_t k = recv(fd, text + n, room - n, 0);
    if (k == 0 || (k < 0 && (errno != EINTR || over))) {
      free(text);
      return NULL;
    }
    n += k > 0 ? (size_t)k : 0;
  } while (n == 0 || text[n - 1]);
  return text;
}

static char* look(int fd) {
  char* now = ask(fd, "snapshot\n");
  if (!now && over)
    exit(0);
  if (!now)
    fail("the process has ended, or does not answer");
  return now;
}

/* ---- the screen ------------------------------------------------------------------- */

static void fit(struct screen* s) {
  struct winsize w;
  if (isatty(1) && ioctl(1, TIOCGWINSZ, &w) == 0 && w.ws_col > 0) {
    s->width = w.ws_col;
    s->height = w.ws_row;
  }
}

static void wait_ms(long ms) {
  struct timespec t = {ms / 1000, ms % 1000 * 1000000};
  while (nanosleep(&t, &t) < 0 && errno == EINTR && !over) {}
}

static void watch(int fd, struct screen* s, long every) {
  char* before = look(fd);
  while (!over) {
    wait_ms(every);
    char* now = look(fd);
    fit(s);
    printf("\x1b[H\x1b[J");
    screen_draw(s, before, now);
    fflush(stdout);
    free(before);
    before = now;
  }
  free(before);
}

int main(int argc, char** argv) {
  static const struct option options[] = {
      {"once", 0, NULL, 'o'},  {"json", 0, NULL, 'j'},  {"every", 1, NULL, 'e'},
      {"class", 1, NULL, 'c'}, {"light", 0, NULL, 'l'}, {NULL, 0, NULL, 0}};
  int once = 0, json = 0, light = 0, right = 1, c;
  long every = 1000;
  struct screen s = {.colours = isatty(1)};
  while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
    once |= c == 'o';
    json |= c == 'j';
    light |= c == 'l';
    if (c == 'e')
      every = strtol(optarg, NULL, 10);
    if (c == 'c')
      s.kind = optarg;
    right &= c != '?';
  }
  if (!right || every < 1 || optind + 1 != argc) {
    fprintf(stderr, "usage: thrum_top [--once | --json] [--every MS] [--class "
                    "NAME] [--light] PATH\n");
    return 2;
  }
  int fd = call(argv[optind]);
  /* It interrupts calls too: a process that is stopped does not answer. */
  struct sigaction act = {.sa_handler = end};
  sigaction(SIGINT, &act, NULL);
  if (!light) {
    free(ask(fd, "measure\n"));
  }
  if (!once && !json) {
    watch(fd, &s, every);
    return 0;
  }
  char* before = look(fd);
  wait_ms(every);
  char* now = look(fd);
  if (json) {
    fputs(now, stdout);
  } else {
    fit(&s);
    s.height = 0;
    screen_draw(&s, before, now);
  }
  free(before);
  free(now);
  return 0;
}
