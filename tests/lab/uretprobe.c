/* uretprobe.c: what a return probe does to a program whose stacks move, beside thrum's
 * own pair of probes. Needs bpftrace, as root.
 *
 * usage: lab_uretprobe [PROBE [SECONDS]]
 *
 * Gs call a function that parks and often goes on on another thread. The kernel keeps
 * return addresses of probed functions per thread, and kills whoever returns with one
 * that is not the last: SIGILL. Prints how the process ended, for each of the probes
 * (or the one that is named): none, uretprobe, usdt. */
#define _GNU_SOURCE 1
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <thrum/thrum.h>
#include <unistd.h>

enum { GS = 64 };
static int seconds = 4;

/* Looked up by its name, so not static. */
int lab_parks_here(thrum_chan* ch, char* c);
__attribute__((noinline)) int lab_parks_here(thrum_chan* ch, char* c) {
  int rc = thrum_chan_recv(ch, c, THRUM_FOREVER);
  __asm__ volatile("" ::: "memory"); /* no tail call: it returns itself */
  return rc;
}

static thrum_chan* ring[GS];
static int64_t end;
static void passes_on(void* arg) {
  int i = (int)(intptr_t)arg;
  char c;
  while (lab_parks_here(ring[i], &c) == 0) {
    if (thrum_now() > end) {
      thrum_chan_close(ring[(i + 1) % GS]);
      return;
    }
    thrum_yield();
    thrum_chan_send(ring[(i + 1) % GS], &c, THRUM_FOREVER);
  }
  thrum_chan_close(ring[(i + 1) % GS]);
}
static void passes(void* arg) {
  thrum_g g[GS];
  (void)arg;
  for (int i = 0; i < GS; i++)
    thrum_spawn(NULL, NULL, passes_on, (void*)(intptr_t)i, &g[i]);
  for (int i = 0; i < GS / 2; i++) /* many letters in the ring */
    thrum_chan_send(ring[2 * i], "x", THRUM_FOREVER);
  for (int i = 0; i < GS; i++)
    thrum_join(NULL, g[i], THRUM_FOREVER);
}
static int guest(void) {
  thrum_config c;
  thrum_rt* rt;
  memset(&c, 0, sizeof c);
  c.struct_size = sizeof c;
  c.procs = 2;
  if (thrum_rt_new(&rt, &c))
    return 2;
  for (int i = 0; i < GS; i++)
    if (thrum_chan_new(1, 1, &ring[i]))
      return 2;
  end = thrum_after(seconds * (int64_t)1000000000);
  if (thrum_run(rt, passes, NULL) || thrum_rt_stop(rt, THRUM_FOREVER))
    return 2;
  return 0;
}

static pid_t watcher(pid_t of, const char* probe) {
  char script[400], pid[20];
  if (strcmp(probe, "none") == 0)
    return 0;
  if (strcmp(probe, "usdt") == 0)
    snprintf(script, sizeof script,
             "usdt:/proc/%d/exe:thrum:park { @p = count(); } "
             "usdt:/proc/%d/exe:thrum:run { @r = count(); }",
             (int)of, (int)of);
  else
    snprintf(script, sizeof script,
             "uretprobe:/proc/%d/exe:lab_parks_here { @r = count(); }",
             (int)of);
  snprintf(pid, sizeof pid, "%d", (int)of);
  pid_t it = fork();
  if (it == 0) {
    if (!freopen("/dev/null", "w", stdout) ||
        !freopen("/dev/null", "w", stderr))
      _exit(126);
    execlp("bpftrace", "bpftrace", "-p", pid, "-e", script, (char*)NULL);
    _exit(127);
  }
  return it;
}

int main(int argc, char** argv) {
  static const char* const probes[] = {"none", "uretprobe", "usdt"};
  seconds = argc > 2 ? atoi(argv[2]) : seconds;
  for (int i = 0; i < 3; i++) {
    int status = 0, tool = 0;
    if (argc > 1 && strcmp(argv[1], probes[i]) != 0)
      continue;
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0)
      _exit(guest());
    pid_t it = watcher(pid, probes[i]);
    waitpid(pid, &status, 0);
    if (it && waitpid(it, &tool, 0) == it && WIFEXITED(tool) &&
        WEXITSTATUS(tool) != 0 && !WIFSIGNALED(status)) {
      printf("skipped: bpftrace is not there, or not permitted\n");
      return 77;
    }
    printf("{\"lab\": \"uretprobe\", \"probe\": \"%s\", \"ended\": \"%s\"}\n",
           probes[i],
           WIFSIGNALED(status) ? strsignal(WTERMSIG(status)) : "as it should");
  }
  return 0;
}
