// Recorded layouts of control groups, as small texts: what /proc/self says on
// machines of that kind (host names and ids shortened), the files that matter, and
// what comes of it.
//
//   == name
//   want MILLI PATH            the limit in 1/1000 CPU and whose it is; "0 -": none
//   m LINE                     a line of /proc/self/mountinfo
//   g LINE                     a line of /proc/self/cgroup
//   f PATH TEXT                a file with one line
//   d PATH                     one that may not be read
//   x                          /proc/self/mountinfo may not be read
// SPDX-License-Identifier: MIT
#pragma once

inline const char* const kLayouts = R"(
== bare metal, no limit
want 0 -
m 22 1 254:1 / / rw,relatime - ext4 /dev/vda1 rw
m 30 22 0:26 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime shared:4 - cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot
g 0::/user.slice/user-1000.slice/session-2.scope
f /sys/fs/cgroup/user.slice/cpu.max max 100000
f /sys/fs/cgroup/user.slice/user-1000.slice/cpu.max max 100000

== systemd service with CPUQuota
want 1500 /sys/fs/cgroup/system.slice/web.service
m 30 22 0:26 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime shared:4 - cgroup2 cgroup2 rw,nsdelegate
g 0::/system.slice/web.service
f /sys/fs/cgroup/system.slice/web.service/cpu.max 150000 100000
f /sys/fs/cgroup/system.slice/cpu.max max 100000

== systemd slice tighter than its service
want 500 /sys/fs/cgroup/batch.slice
m 30 22 0:26 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime shared:4 - cgroup2 cgroup2 rw,nsdelegate
g 0::/batch.slice/batch-nightly.slice/job.service
f /sys/fs/cgroup/batch.slice/batch-nightly.slice/job.service/cpu.max 150000 100000
f /sys/fs/cgroup/batch.slice/batch-nightly.slice/cpu.max max 100000
f /sys/fs/cgroup/batch.slice/cpu.max 50000 100000

== kubernetes v2, pod with a private namespace
want 2000 /sys/fs/cgroup
m 1312 1280 0:147 / / rw,relatime master:401 - overlay overlay rw,lowerdir=/var/lib/containerd/l/A:/var/lib/containerd/l/B,upperdir=/var/lib/containerd/u
m 1315 1313 0:26 / /sys/fs/cgroup ro,nosuid,nodev,noexec,relatime - cgroup2 cgroup rw
g 0::/
f /sys/fs/cgroup/cpu.max 200000 100000

== kubernetes v2, host namespace, the pod tighter than the container
want 250 /sys/fs/cgroup/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod3f1c.slice
m 31 24 0:27 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime shared:9 - cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot
g 0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod3f1c.slice/cri-containerd-9a2e.scope
f /sys/fs/cgroup/kubepods.slice/cpu.max max 100000
f /sys/fs/cgroup/kubepods.slice/kubepods-burstable.slice/cpu.max max 100000
f /sys/fs/cgroup/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod3f1c.slice/cpu.max 25000 100000
f /sys/fs/cgroup/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod3f1c.slice/cri-containerd-9a2e.scope/cpu.max 100000 100000

== kubernetes v1, the mount shows the container only
want 500 /sys/fs/cgroup/cpu,cpuacct
m 1410 1400 0:34 /kubepods/burstable/pod3f1c/9a2e /sys/fs/cgroup/cpuset ro,nosuid,nodev,noexec,relatime master:17 - cgroup cgroup rw,cpuset
m 1411 1400 0:30 /kubepods/burstable/pod3f1c/9a2e /sys/fs/cgroup/cpu,cpuacct ro,nosuid,nodev,noexec,relatime master:13 - cgroup cgroup rw,cpu,cpuacct
g 11:cpuset:/kubepods/burstable/pod3f1c/9a2e
g 4:cpu,cpuacct:/kubepods/burstable/pod3f1c/9a2e
f /sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us 50000
f /sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us 100000

== docker v1 without a cgroup namespace
want 1500 /sys/fs/cgroup/cpu,cpuacct
m 552 551 0:30 /docker/0f6e /sys/fs/cgroup/cpu,cpuacct ro,nosuid,nodev,noexec,relatime master:11 - cgroup cgroup rw,cpu,cpuacct
m 553 551 0:31 /docker/0f6e /sys/fs/cgroup/memory ro,nosuid,nodev,noexec,relatime master:12 - cgroup cgroup rw,memory
g 6:memory:/docker/0f6e
g 5:cpu,cpuacct:/docker/0f6e
g 1:name=systemd:/docker/0f6e
f /sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us 150000
f /sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us 100000
f /sys/fs/cgroup/memory/cpu.cfs_quota_us 1000
f /sys/fs/cgroup/memory/cpu.cfs_period_us 100000

== docker v1, a group of our own below the container's
want 300 /sys/fs/cgroup/cpu/inner
m 552 551 0:30 /docker/0f6e /sys/fs/cgroup/cpu rw,relatime master:11 - cgroup cgroup rw,cpu
g 5:cpu:/docker/0f6e/inner
f /sys/fs/cgroup/cpu/cpu.cfs_quota_us -1
f /sys/fs/cgroup/cpu/cpu.cfs_period_us 100000
f /sys/fs/cgroup/cpu/inner/cpu.cfs_quota_us 30000
f /sys/fs/cgroup/cpu/inner/cpu.cfs_period_us 100000

== docker v2 with the namespace of the host
want 750 /sys/fs/cgroup/system.slice/docker-0f6e.scope
m 720 700 0:26 / /sys/fs/cgroup ro,nosuid,nodev,noexec,relatime - cgroup2 cgroup rw
g 0::/system.slice/docker-0f6e.scope
f /sys/fs/cgroup/system.slice/docker-0f6e.scope/cpu.max 75000 100000

== docker v2, a mount of the container's part and paths of the host
want 750 /sys/fs/cgroup
m 720 700 0:26 /system.slice/docker-0f6e.scope /sys/fs/cgroup ro,relatime - cgroup2 cgroup rw
g 0::/system.slice/docker-0f6e.scope
f /sys/fs/cgroup/cpu.max 75000 100000
f /sys/fs/cgroup/system.slice/docker-0f6e.scope/cpu.max 1000 100000

== a name that only begins like the mount's root
want 600 /sys/fs/cgroup
m 720 700 0:26 /docker/0f6 /sys/fs/cgroup ro,relatime - cgroup2 cgroup rw
g 0::/docker/0f6e
f /sys/fs/cgroup/cpu.max 60000 100000
f /sys/fs/cgroup/e/cpu.max 1000 100000

== hybrid: the first version has cpu, the second is empty
want 1200 /sys/fs/cgroup/cpu/app
m 32 24 0:28 / /sys/fs/cgroup/unified rw,nosuid shared:10 - cgroup2 cgroup2 rw
m 36 24 0:32 / /sys/fs/cgroup/cpu rw,nosuid shared:14 - cgroup cgroup rw,cpu
g 2:cpu:/app
g 0::/app
f /sys/fs/cgroup/cpu/app/cpu.cfs_quota_us 120000
f /sys/fs/cgroup/cpu/app/cpu.cfs_period_us 100000
f /sys/fs/cgroup/cpu/cpu.cfs_quota_us -1
f /sys/fs/cgroup/cpu/cpu.cfs_period_us 100000

== hybrid: both limit, the second more
want 400 /sys/fs/cgroup/unified/app
m 32 24 0:28 / /sys/fs/cgroup/unified rw,nosuid shared:10 - cgroup2 cgroup2 rw
m 36 24 0:32 / /sys/fs/cgroup/cpu rw,nosuid shared:14 - cgroup cgroup rw,cpu
g 2:cpu:/app
g 0::/app
f /sys/fs/cgroup/unified/app/cpu.max 40000 100000
f /sys/fs/cgroup/cpu/app/cpu.cfs_quota_us 120000
f /sys/fs/cgroup/cpu/app/cpu.cfs_period_us 100000

== the machine this was written on: cpu apart from cpuacct and cpuset
want 0 -
m 26 22 0:24 / /sys/fs/cgroup rw,relatime shared:3 - tmpfs tmpfs rw,mode=755
m 27 26 0:25 / /sys/fs/cgroup/cpu rw,relatime shared:4 - cgroup cgroup rw,cpu
m 28 26 0:26 / /sys/fs/cgroup/cpuacct rw,relatime shared:5 - cgroup cgroup rw,cpuacct
m 29 26 0:27 / /sys/fs/cgroup/cpuset rw,relatime shared:6 - cgroup cgroup rw,cpuset
g 3:cpuset:/
g 2:cpuacct:/
g 1:cpu:/
g 0::/

== cpuset is not cpu
want 0 -
m 35 32 0:31 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset
m 36 32 0:33 / /sys/fs/cgroup/cpuacct rw - cgroup cgroup rw,cpuacct
g 4:cpuset:/s
g 3:cpuacct:/s
f /sys/fs/cgroup/cpuset/s/cpu.cfs_quota_us 1000
f /sys/fs/cgroup/cpuset/s/cpu.cfs_period_us 100000
f /sys/fs/cgroup/cpuacct/s/cpu.cfs_quota_us 1000
f /sys/fs/cgroup/cpuacct/s/cpu.cfs_period_us 100000

== the leaf refuses, the parent does not
want 800 /sys/fs/cgroup/a
m 30 22 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw
g 0::/a/b
d /sys/fs/cgroup/a/b/cpu.max
f /sys/fs/cgroup/a/cpu.max 80000 100000

== all refuse
want 0 -
m 30 22 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw
g 0::/a
d /sys/fs/cgroup/a/cpu.max

== mountinfo refuses (a snap's profile)
want 0 -
x
g 0::/a
f /sys/fs/cgroup/a/cpu.max 50000 100000

== moved out of the namespace: the path leaves the mount
want 900 /sys/fs/cgroup
m 30 22 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw
g 0::/../sibling
f /sys/fs/cgroup/cpu.max 90000 100000

== a mount point with a space
want 100 /mnt/my groups/a
m 90 22 0:26 / /mnt/my\040groups rw,relatime - cgroup2 none rw
g 0::/a
f /mnt/my groups/a/cpu.max 10000 100000

== two mounts of one hierarchy: the one that shows more counts
want 200 /sys/fs/cgroup/pod
m 80 22 0:26 /pod/app /container/cgroup rw,relatime - cgroup2 none rw
m 81 22 0:26 / /sys/fs/cgroup ro,relatime - cgroup2 none rw
g 0::/pod/app
f /container/cgroup/cpu.max 100000 100000
f /sys/fs/cgroup/pod/cpu.max 20000 100000
f /sys/fs/cgroup/pod/app/cpu.max 100000 100000

== a mount of another group first
want 700 /sys/fs/cgroup/app
m 80 22 0:26 /other /mnt/other rw,relatime - cgroup2 none rw
m 81 22 0:26 / /sys/fs/cgroup ro,relatime - cgroup2 none rw
g 0::/app
f /mnt/other/cpu.max 1000 100000
f /sys/fs/cgroup/app/cpu.max 70000 100000

== a short period
want 500 /sys/fs/cgroup/a
m 30 22 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw
g 0::/a
f /sys/fs/cgroup/a/cpu.max 10000 20000

== lxc: limits on both sides of the container's root
want 1000 /sys/fs/cgroup
m 44 40 0:26 /lxc.payload.web /sys/fs/cgroup rw,relatime - cgroup2 none rw
g 0::/lxc.payload.web/system.slice/nginx.service
f /sys/fs/cgroup/cpu.max 100000 100000
f /sys/fs/cgroup/system.slice/nginx.service/cpu.max 400000 100000
f /sys/fs/cgroup/system.slice/cpu.max max 100000

== no control groups at all
want 0 -
m 22 1 254:1 / / rw,relatime - ext4 /dev/vda1 rw
)";
