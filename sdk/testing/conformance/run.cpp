#include "sdk/testing/conformance/run.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <new>

#include "core/base/encoding.hpp"
#include "core/base/files.hpp"
#include "sdk/testing/conformance/stage.hpp"

namespace hawser::sdk::conformance {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kSentenceBytesMax = 4096;
constexpr char kFailed = 'F', kSkipped = 'S', kPassed = 'P';

int answer_to = -1;                                    // in the child: where the verdict goes
std::atomic<const char*>* running_callback = nullptr;  // in a page that parent and child share

[[noreturn]] void conclude(char kind, const std::string& sentence) {
  const std::string answer = kind + sentence.substr(0, kSentenceBytesMax);
  const ssize_t written = ::write(answer_to, answer.data(), answer.size());
  ::_exit(written == static_cast<ssize_t>(answer.size()) ? 0 : 1);
}

[[noreturn]] void be_the_child(const Check& check, const Subject& subject, int pipe, int output) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  ::setpgid(0, 0);
  const rlimit no_core{0, 0};
  ::setrlimit(RLIMIT_CORE, &no_core);
  answer_to = pipe;
  const Descriptor nothing(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  if (nothing) ::dup2(nothing.get(), STDIN_FILENO);
  ::dup2(output, STDOUT_FILENO);
  ::dup2(output, STDERR_FILENO);
  try {
    check.run(subject);
  } catch (const std::exception& problem) {
    conclude(kFailed, std::string("an exception came out of the plugin or of the check: ") + problem.what());
  } catch (...) {
    conclude(kFailed, "an exception that is no std::exception came out of the plugin");
  }
  conclude(kPassed, "");
}

// Everything until the other end closes; nothing when that is not before `end`.
std::optional<std::string> read_until(int pipe, Clock::time_point end) {
  std::string answer;
  for (;;) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - Clock::now()).count();
    pollfd ready{pipe, POLLIN, 0};
    if (left <= 0 || ::poll(&ready, 1, static_cast<int>(left)) == 0) return std::nullopt;
    char buffer[512];
    const ssize_t got = ::read(pipe, buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return answer;
    answer.append(buffer, static_cast<std::size_t>(got));
  }
}

std::string in_callback() {
  const char* const name = running_callback->load();
  return name ? std::string(" in ") + name : std::string();
}

Outcome judge(const std::optional<std::string>& answer, int status, std::chrono::seconds limit) {
  using Kind = Outcome::Kind;
  if (!answer)
    return {Kind::failed, "it did not end within " + std::to_string(limit.count()) + " s" + in_callback(), {}, 0};
  if (!answer->empty() && answer->front() == kPassed) return {};
  if (!answer->empty()) return {answer->front() == kSkipped ? Kind::skipped : Kind::failed, answer->substr(1), {}, 0};
  if (WIFSIGNALED(status))
    return {Kind::failed,
            std::string("the process was ended by SIG") + ::sigabbrev_np(WTERMSIG(status)) + in_callback(),
            {},
            0};
  return {Kind::failed,
          "the plugin ended the process with exit code " + std::to_string(WEXITSTATUS(status)) + in_callback(),
          {},
          0};
}

std::string printed(int output) {
  char buffer[kOutputBytesMax];
  const ssize_t got = ::pread(output, buffer, sizeof buffer, 0);
  return got > 0 ? std::string(buffer, static_cast<std::size_t>(got)) : std::string();
}

}  // namespace

void fail(const std::string& found) { conclude(kFailed, found); }
void skip(const std::string& reason) { conclude(kSkipped, reason); }

std::atomic<const char*>* flight() { return running_callback; }

std::vector<Check> all_checks() {
  std::vector<Check> all;
  for (const auto part : {library_checks(), start_checks(), config_checks(), stop_checks(), conduct_checks(),
                          cloud_checks(), host_checks()})
    all.insert(all.end(), part.begin(), part.end());
  return all;
}

Outcome run(const Check& check, Subject subject, std::chrono::seconds limit) {
  if (!running_callback) {
    void* const page =
        ::mmap(nullptr, sizeof *running_callback, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED) throw std::bad_alloc();
    running_callback = new (page) std::atomic<const char*>(nullptr);
  }
  running_callback->store(nullptr);
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) throw std::runtime_error(std::string("pipe2: ") + std::strerror(errno));
  const Descriptor reading(ends[0]);
  Descriptor writing(ends[1]);
  const Descriptor output(::memfd_create("output", MFD_CLOEXEC));
  const auto begin = Clock::now();
  const pid_t child = ::fork();
  if (child < 0) throw std::runtime_error(std::string("fork: ") + std::strerror(errno));
  if (child == 0) be_the_child(check, subject, writing.get(), output.get());
  writing.reset();
  const auto answer = read_until(reading.get(), begin + limit);
  ::kill(-child, SIGKILL);  // with what the plugin may have started
  ::kill(child, SIGKILL);
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  Outcome outcome = judge(answer, status, limit);
  outcome.seconds = std::chrono::duration<double>(Clock::now() - begin).count();
  if (outcome.kind == Outcome::Kind::failed) outcome.output = printed(output.get());
  return outcome;
}

}  // namespace hawser::sdk::conformance
