/* The only process of the guest: mounts what programs expect, makes two control
 * groups, runs the programs that it finds, and switches the machine off. Each
 * program's output stands between two lines that begin with "@ ".
 *
 * /programs: one command a line; "limited COMMAND": in a group of 150 % of a CPU
 * inside one of 50 %.
 *
 * SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define TIGHT "/sys/fs/cgroup/tight"
#define LEAF TIGHT "/leaf"

static void into(const char* path, const char* text) {
  int fd = open(path, O_WRONLY);
  if (fd < 0 || write(fd, text, strlen(text)) < 0) {
    printf("\n@ failed %s\n", path);
  }
  if (fd >= 0) {
    close(fd);
  }
}

static void mounted(const char* what, const char* where) {
  mkdir(where, 0755);
  if (mount(what, where, what, 0, NULL) != 0) {
    printf("\n@ failed %s\n", where);
  }
}

static void groups(void) {
  into("/sys/fs/cgroup/cgroup.subtree_control", "+cpu");
  mkdir(TIGHT, 0755);
  into(TIGHT "/cpu.max", "50000 100000");
  into(TIGHT "/cgroup.subtree_control", "+cpu");
  mkdir(LEAF, 0755);
  into(LEAF "/cpu.max", "150000 100000");
}

static void run(char* command) {
  char* words[16] = {NULL};
  int count = 0, limited = 0, status = 0;
  printf("\n@ begin %s\n", command);
  fflush(stdout);
  for (char* word = strtok(command, " "); word && count < 15;
       word = strtok(NULL, " ")) {
    if (count == 0 && strcmp(word, "limited") == 0) {
      limited = 1;
    } else {
      words[count++] = word;
    }
  }
  pid_t pid = fork();
  if (pid == 0) {
    if (limited) {
      into(LEAF "/cgroup.procs", "0");
    }
    execv(words[0], words);
    perror(words[0]);
    _exit(127);
  }
  waitpid(pid, &status, 0);
  printf("\n@ end %d\n",
         WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
  fflush(stdout);
}

int main(void) {
  char line[512];
  mounted("proc", "/proc");
  mounted("sysfs", "/sys");
  mounted("devtmpfs", "/dev");
  mounted("tmpfs", "/tmp");
  mounted("cgroup2", "/sys/fs/cgroup");
  groups();
  setenv("LD_LIBRARY_PATH", "/lib", 1);
  setenv("HOME", "/tmp", 1);
  FILE* list = fopen("/programs", "r");
  while (list && fgets(line, sizeof line, list)) {
    line[strcspn(line, "\n")] = '\0';
    run(line);
  }
  printf("\n@ over\n");
  fflush(stdout);
  reboot(RB_POWER_OFF);
  return 1;
}
