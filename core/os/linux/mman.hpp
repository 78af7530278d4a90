// What linux/mman.h and linux/pidfd.h of Debian 12 are too old for.
// SPDX-License-Identifier: MIT
#pragma once

namespace thrum::os {

constexpr int kGuardInstall = 102;  // 6.13
constexpr int kGuardRemove = 103;
// "This process" where a descriptor of one is due (6.14); unlike a pidfd it means
// the child after a fork.
constexpr int kPidfdSelf = -10001;

}  // namespace thrum::os
