#include "mase/plugin/sandbox.h"

#include <fcntl.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <initializer_list>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "mase/base/sanitizers.h"
#include "mase/base/status_macros.h"

namespace mase {
namespace {

absl::Status Failed(absl::string_view what) {
  return absl::InternalError(absl::StrCat("cannot ", what, ": ", std::strerror(errno)));
}

// ---- Limits ----

absl::Status SetLimits(const SandboxLimits& limits) {
  const struct {
    __rlimit_resource_t resource;
    int64_t value;
  } kLimits[] = {
      {RLIMIT_AS, kAddressesAreBounded ? limits.memory_bytes : static_cast<int64_t>(RLIM_INFINITY)},
      {RLIMIT_CPU, limits.cpu_seconds},
      {RLIMIT_FSIZE, 0},
      {RLIMIT_CORE, 0}};
  for (const auto& limit : kLimits) {
    const struct rlimit bound = {static_cast<rlim_t>(limit.value),
                                 static_cast<rlim_t>(limit.value)};
    if (::setrlimit(limit.resource, &bound) != 0) return Failed("set a limit");
  }
  return absl::OkStatus();
}

absl::Status DropPrivileges() {
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return Failed("give up new privileges");
  __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  const __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {};
  if (::syscall(SYS_capset, &header, none) != 0) return Failed("give up capabilities");
  return absl::OkStatus();
}

// ---- Files: Landlock ----

constexpr uint64_t kRead = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
constexpr uint64_t kReadAndMap = kRead | LANDLOCK_ACCESS_FS_EXECUTE;
// All of the first version.
constexpr uint64_t kHandled = (uint64_t{LANDLOCK_ACCESS_FS_MAKE_SYM} << 1) - 1;

absl::Status Allow(int ruleset, const std::string& path, uint64_t access) {
  const int folder = ::open(path.c_str(), O_PATH | O_CLOEXEC);
  if (folder < 0) return absl::OkStatus();  // Nothing is there.
  const absl::Cleanup close = [folder] { ::close(folder); };
  const landlock_path_beneath_attr rule = {.allowed_access = access, .parent_fd = folder};
  if (::syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) == 0) {
    return absl::OkStatus();
  }
  return Failed(absl::StrCat("allow ", path));
}

absl::Status RestrictFiles(const std::vector<std::string>& readable) {
  const landlock_ruleset_attr handled = {.handled_access_fs = kHandled};
  const int ruleset =
      static_cast<int>(::syscall(SYS_landlock_create_ruleset, &handled, sizeof(handled), 0));
  if (ruleset < 0 && (errno == ENOSYS || errno == EOPNOTSUPP)) return absl::OkStatus();
  if (ruleset < 0) return Failed("restrict files");
  const absl::Cleanup close = [ruleset] { ::close(ruleset); };
  for (const char* folder : {"/usr", "/lib", "/lib64"}) {
    MASE_RETURN_IF_ERROR(Allow(ruleset, folder, kReadAndMap));
  }
  // For OpenMP, oneDNN and the C library: processors, the map of the stack, the linker's cache.
  for (const char* folder : {"/sys/devices/system", "/proc/self", "/proc/cpuinfo"}) {
    MASE_RETURN_IF_ERROR(Allow(ruleset, folder,
                               absl::string_view(folder) == "/proc/cpuinfo"
                                   ? uint64_t{LANDLOCK_ACCESS_FS_READ_FILE}
                                   : kRead));
  }
  for (const char* file : {"/etc/ld.so.cache", "/dev/urandom", "/dev/null"}) {
    MASE_RETURN_IF_ERROR(Allow(ruleset, file, LANDLOCK_ACCESS_FS_READ_FILE));
  }
  for (const std::string& folder : readable) {
    MASE_RETURN_IF_ERROR(Allow(ruleset, folder, kReadAndMap));
  }
  if (::syscall(SYS_landlock_restrict_self, ruleset, 0) != 0) return Failed("restrict files");
  return absl::OkStatus();
}

// ---- System calls: seccomp ----

#if defined(__x86_64__)
constexpr uint32_t kArchitecture = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
constexpr uint32_t kArchitecture = AUDIT_ARCH_AARCH64;
#endif

// Calls that change something outside of the process, or get it out of its limits.
constexpr int kRefused[] = {
    // Network, and other sockets.
    SYS_socket,
    SYS_socketpair,
    SYS_connect,
    SYS_bind,
    SYS_listen,
    SYS_accept,
    SYS_accept4,
    // Programs and processes.
    SYS_execve,
    SYS_execveat,
    SYS_kill,
    SYS_tkill,
    SYS_ptrace,
    SYS_process_vm_readv,
    SYS_process_vm_writev,
    SYS_pidfd_open,
    SYS_pidfd_getfd,
    SYS_pidfd_send_signal,
    SYS_rt_sigqueueinfo,
    SYS_rt_tgsigqueueinfo,
    SYS_setpriority,
    SYS_setsid,
    SYS_setpgid,
    // Files.
    SYS_unlinkat,
    SYS_renameat,
    SYS_renameat2,
    SYS_mkdirat,
    SYS_linkat,
    SYS_symlinkat,
    SYS_mknodat,
    SYS_fchmod,
    SYS_fchmodat,
    SYS_fchown,
    SYS_fchownat,
    SYS_truncate,
    SYS_ftruncate,
    SYS_setxattr,
    SYS_fsetxattr,
    SYS_lsetxattr,
    SYS_removexattr,
    SYS_utimensat,
    SYS_fallocate,
    SYS_memfd_create,
    SYS_name_to_handle_at,
    SYS_open_by_handle_at,
    // The machine.
    SYS_mount,
    SYS_umount2,
    SYS_pivot_root,
    SYS_chroot,
    SYS_unshare,
    SYS_setns,
    SYS_reboot,
    SYS_swapon,
    SYS_swapoff,
    SYS_init_module,
    SYS_finit_module,
    SYS_delete_module,
    SYS_kexec_load,
    SYS_bpf,
    SYS_perf_event_open,
    SYS_add_key,
    SYS_request_key,
    SYS_keyctl,
    SYS_io_uring_setup,
    SYS_userfaultfd,
    SYS_setrlimit,
    SYS_settimeofday,
    SYS_clock_settime,
    SYS_sethostname,
    SYS_quotactl,
    SYS_acct,
    SYS_syslog,
    SYS_shmget,
    SYS_msgget,
    SYS_semget,
    SYS_lremovexattr,
    SYS_fremovexattr,
    SYS_mq_open,
    SYS_mq_unlink,
    SYS_mq_notify,
    SYS_sched_setscheduler,
    SYS_sched_setparam,
    SYS_sched_setattr,
    SYS_sched_setaffinity,
    SYS_ioprio_set,
    SYS_open_tree,
    SYS_move_mount,
    SYS_fsopen,
    SYS_fsconfig,
    SYS_fsmount,
    SYS_fspick,
    SYS_mount_setattr,
    SYS_process_madvise,
    SYS_process_mrelease,
#ifdef SYS_fork  // Machines of before there was a general call.
    SYS_fork,
    SYS_vfork,
    SYS_creat,
    SYS_unlink,
    SYS_rename,
    SYS_mkdir,
    SYS_rmdir,
    SYS_link,
    SYS_symlink,
    SYS_mknod,
    SYS_chmod,
    SYS_chown,
    SYS_lchown,
    SYS_utime,
    SYS_utimes,
    SYS_futimesat,
#endif
};

constexpr int kLastReviewed = 451;  // cachestat, on all machines.

constexpr uint32_t kEperm = SECCOMP_RET_ERRNO | EPERM;

constexpr uint32_t LowHalf(int argument) {
  return offsetof(seccomp_data, args) + 8 * static_cast<uint32_t>(argument);
}

// The program reads the number of the call, and where needed halves of its arguments.
class Filter {
 public:
  Filter() {
    Load(offsetof(seccomp_data, arch));
    IfEqual(kArchitecture, 1, 0);
    Return(SECCOMP_RET_KILL_PROCESS);
    Load(offsetof(seccomp_data, nr));
#ifdef __x86_64__  // Other numbers for the same calls.
    Jump(BPF_JGE, 0x40000000, 0, 1);
    Return(kEperm);
#endif
  }

  void Refuse(int call) {
    IfEqual(static_cast<uint32_t>(call), 0, 1);
    Return(kEperm);
  }
  void Answer(int call, int error) {
    IfEqual(static_cast<uint32_t>(call), 0, 1);
    Return(SECCOMP_RET_ERRNO | static_cast<uint32_t>(error));
  }
  // Refused if any of these bits of an argument is set.
  void RefuseWith(int call, int argument, uint32_t bits) {
    IfEqual(static_cast<uint32_t>(call), 0, 4);
    Load(LowHalf(argument));
    Jump(BPF_JSET, bits, 0, 1);
    Return(kEperm);
    Return(SECCOMP_RET_ALLOW);
  }
  // Refused if an argument is one of these values.
  void RefuseValues(int call, int argument, std::initializer_list<uint32_t> values) {
    const auto count = static_cast<uint8_t>(values.size());
    IfEqual(static_cast<uint32_t>(call), 0, static_cast<uint8_t>(count + 3));
    Load(LowHalf(argument));
    uint8_t left = count;
    for (const uint32_t value : values) IfEqual(value, left--, 0);
    Return(SECCOMP_RET_ALLOW);
    Return(kEperm);
  }
  // Calls that there were not when this list was made.
  void AnswerAbove(int call, int error) {
    Jump(BPF_JGT, static_cast<uint32_t>(call), 0, 1);
    Return(SECCOMP_RET_ERRNO | static_cast<uint32_t>(error));
  }
  // Refused unless all of these bits are set.
  void RefuseWithout(int call, int argument, uint32_t bits) {
    IfEqual(static_cast<uint32_t>(call), 0, 4);
    Load(LowHalf(argument));
    Jump(BPF_JSET, bits, 1, 0);
    Return(kEperm);
    Return(SECCOMP_RET_ALLOW);
  }
  // Refused unless an argument is this value (or, where it is a pointer, null).
  void RefuseUnless(int call, int argument, uint32_t value) {
    IfEqual(static_cast<uint32_t>(call), 0, 6);
    Load(LowHalf(argument));
    IfEqual(value, 0, 3);
    Load(LowHalf(argument) + 4);
    IfEqual(0, 0, 1);
    Return(SECCOMP_RET_ALLOW);
    Return(kEperm);
  }

  absl::Status Install() {
    Return(SECCOMP_RET_ALLOW);
    const sock_fprog program = {static_cast<unsigned short>(code_.size()), code_.data()};
    if (::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) {
      return Failed("restrict system calls");
    }
    return absl::OkStatus();
  }

 private:
  void Load(uint32_t offset) { code_.push_back(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offset)); }
  void Return(uint32_t value) { code_.push_back(BPF_STMT(BPF_RET | BPF_K, value)); }
  void Jump(uint16_t kind, uint32_t value, uint8_t then, uint8_t otherwise) {
    code_.push_back(
        BPF_JUMP(static_cast<uint16_t>(BPF_JMP | kind | BPF_K), value, then, otherwise));
  }
  void IfEqual(uint32_t value, uint8_t then, uint8_t otherwise) {
    Jump(BPF_JEQ, value, then, otherwise);
  }

  std::vector<sock_filter> code_;
};

absl::Status RestrictCalls() {
  constexpr uint32_t kWriting = O_WRONLY | O_RDWR | O_CREAT | O_TRUNC | O_APPEND;
  Filter filter;
  filter.AnswerAbove(kLastReviewed, ENOSYS);
  for (const int call : kRefused) filter.Refuse(call);
  // With these the arguments lie in memory, where a filter cannot read them; callers fall back.
  filter.Answer(SYS_clone3, ENOSYS);
  filter.Answer(SYS_openat2, ENOSYS);
  filter.RefuseWithout(SYS_clone, 0, CLONE_THREAD);
  filter.RefuseWith(SYS_openat, 2, kWriting);
#ifdef SYS_open
  filter.RefuseWith(SYS_open, 1, kWriting);
#endif
  filter.RefuseUnless(SYS_tgkill, 0, static_cast<uint32_t>(::getpid()));
  filter.RefuseUnless(SYS_prlimit64, 2, 0);
  // Signals to other processes, input for other terminals.
  filter.RefuseValues(SYS_fcntl, 1, {F_SETOWN, F_SETSIG, F_SETOWN_EX});
  filter.RefuseValues(SYS_ioctl, 1, {FIOSETOWN, SIOCSPGRP, TIOCSTI});
  return filter.Install();
}

}  // namespace

absl::Status EnterSandbox(const SandboxLimits& limits) {
  MASE_RETURN_IF_ERROR(SetLimits(limits));
  MASE_RETURN_IF_ERROR(DropPrivileges());
  MASE_RETURN_IF_ERROR(RestrictFiles(limits.readable));
  return RestrictCalls();
}

}  // namespace mase
