/* observe_net.c: the way from an event of a descriptor to the G that waited for it, in
 * four parts. How long they are is the machine's affair; how many are counted is not. */
#include "../support/check.h"

#include <thrum/observe.h>

#include "../support/net.h"

enum { ENOUGH = 8 };

static char json[1 << 16];
static long long count_of(thrum_rt* rt, const char* part) {
  char key[48];
  int64_t n = thrum_report(rt, THRUM_REPORT_METRICS, THRUM_FORMAT_JSON, json,
                           sizeof json);
  REQUIRE(n > 0 && (size_t)n < sizeof json);
  snprintf(key, sizeof key, "\"net_%s\": {\"count\": ", part);
  const char* at = strstr(json, key);
  REQUIRE(at != NULL);
  return atoll(at + strlen(key));
}

/* The other end, a thread: sends a byte when it has got one. Not at once: on one CPU it
 * might be there each time before anybody waits for it. */
static void* bounces(void* arg) {
  int fd = *(int*)arg;
  char c = 1;
  while (write(fd, &c, 1) == 1 && read(fd, &c, 1) == 1)
    check_pause();
  return NULL;
}

static int schedstat(void) {
  FILE* f = fopen("/proc/self/schedstat", "r");
  unsigned long long ran = 0;
  int there = f && fscanf(f, "%llu", &ran) == 1 && ran > 0;
  if (f)
    fclose(f);
  return there;
}

static void by_parts(void* arg) {
  (void)arg;
  thrum_rt* rt = thrum_rt_current();
  thrum_conn* c;
  int fd = tcp_to_raw(NULL, &c);
  CHECK_EQ(fcntl(fd, F_SETFL, 0), 0);
  CHECK_EQ(count_of(rt, "dispatch"), 0);
  pthread_t other;
  REQUIRE_EQ(pthread_create(&other, NULL, bounces, &fd), 0);
  char byte;
  long long kernel = schedstat() ? 1 : 0;
  int64_t end = SOON;
  do {
    for (int i = 0; i < 100; i++) {
      CHECK_EQ(thrum_read(c, &byte, 1, end), 1);
      CHECK_EQ(thrum_write(c, &byte, 1, end), 1);
    }
  } while (
      (count_of(rt, "dispatch") < ENOUGH || count_of(rt, "kernel") < kernel) &&
      thrum_now() < end);
  CHECK(count_of(rt, "dispatch") >= ENOUGH);
  CHECK(count_of(rt, "kernel") >= kernel);
  /* Nobody else was sampled in between: what has one part has them all. */
  CHECK_EQ(count_of(rt, "queue"), count_of(rt, "dispatch"));
  CHECK_EQ(count_of(rt, "poll"), count_of(rt, "queue"));
  thrum_stats s = {.struct_size = sizeof s};
  CHECK_EQ(thrum_stats_get(rt, &s), 0);
  CHECK(s.net_queue_p50_ns > 0 && s.net_queue_p50_ns <= s.net_queue_p99_ns);
  CHECK(s.net_dispatch_p50_ns > 0 &&
        s.net_dispatch_p50_ns <= s.net_dispatch_p99_ns);
  CHECK(s.net_poll_p50_ns > 0 && s.net_poll_p90_ns <= s.net_poll_p99_ns);
  thrum_conn_release(c);
  pthread_join(other, NULL);
  close(fd);
  int64_t n = thrum_report(rt, THRUM_REPORT_METRICS, THRUM_FORMAT_PROMETHEUS,
                           json, sizeof json);
  CHECK(n > 0 && (size_t)n < sizeof json);
  CHECK(strstr(json, "thrum_net_ready_seconds_count{part=\"dispatch\"} ") !=
        NULL);
}
TEST(an_event_reaches_its_g_in_four_parts) { on_threads(by_parts, NULL); }

/* What the kernel says of a sleep is looked up in a file, which stays open. A host
 * that counts its descriptors does not see one come and go with the sleeps. */
static int schedstats(void) {
  DIR* d = opendir("/proc/self/fd");
  int n = 0;
  REQUIRE(d != NULL);
  for (struct dirent* e; (e = readdir(d));) {
    char to[256];
    ssize_t k = readlinkat(dirfd(d), e->d_name, to, sizeof to - 1);
    to[k > 0 ? k : 0] = 0;
    n += strstr(to, "/schedstat") != NULL;
  }
  closedir(d);
  return n;
}
static void* counts(void* arg) {
  int fd = *(int*)arg;
  int before = schedstats();
  int more = 0;
  for (int i = 0; i < 200; i++) {
    char c = 1;
    int now = schedstats(); /* takes long: who waits for the byte sleeps */
    more += now > before;
    before = now;
    if (write(fd, &c, 1) != 1 || read(fd, &c, 1) != 1)
      break;
  }
  CHECK_LE(more, 1);
  close(fd);
  return NULL;
}
static void steady(void* arg) {
  (void)arg;
  thrum_conn* c;
  int fd = tcp_to_raw(NULL, &c);
  CHECK_EQ(fcntl(fd, F_SETFL, 0), 0);
  pthread_t other;
  REQUIRE_EQ(pthread_create(&other, NULL, counts, &fd), 0);
  char byte;
  while (thrum_read(c, &byte, 1, SOON) == 1 &&
         thrum_write(c, &byte, 1, SOON) == 1) {}
  thrum_conn_release(c);
  pthread_join(other, NULL);
}
TEST(a_sleep_opens_nothing) {
  if (!schedstat())
    SKIP("the kernel tells nothing of sleeps here");
  in_rt(RT_SEQ, steady, NULL);
}

static const struct check_case cases[] = {
    CASE(a_sleep_opens_nothing),
    CASE(an_event_reaches_its_g_in_four_parts),
};
NET_MAIN(cases)
