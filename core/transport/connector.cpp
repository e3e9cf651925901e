#include "core/transport/connector.hpp"

#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <optional>

#include "core/transport/limits.hpp"

namespace hawser::transport {
namespace {

using Poco::Net::SocketAddress;

// The attempts of one dial. Lives on the stack of connect_any().
class Race {
 public:
  Race(const std::vector<Poco::Net::IPAddress>& addresses, std::uint16_t port, const Egress& egress) : egress_(egress) {
    for (const auto& address : addresses) waiting_.emplace_back(address, port);
  }

  bool over() const { return running_.empty() && next_ == waiting_.size(); }
  bool may_begin() const { return next_ < waiting_.size() && (running_.empty() || Clock::now() >= next_begin_); }
  TimePoint wake_at(TimePoint limit) const { return next_ < waiting_.size() ? std::min(limit, next_begin_) : limit; }

  void begin_next() {
    const SocketAddress& peer = waiting_[next_++];
    next_begin_ = Clock::now() + kAddressStagger;
    Descriptor socket = egress_.socket(peer.af(), SOCK_STREAM);
    if (!socket) return failed(peer, errno);
    if (::connect(socket.get(), peer.addr(), peer.length()) != 0 && errno != EINPROGRESS) return failed(peer, errno);
    running_.push_back({std::move(socket), peer});
  }

  // Waits for news; the first connection that stands is moved to `won`.
  Waited wait(Waker& waker, TimePoint limit, std::optional<Connected>& won) {
    std::vector<pollfd> descriptors;
    for (const Connected& attempt : running_) descriptors.push_back({attempt.socket.get(), POLLOUT, 0});
    const Waited waited = wait_ready(waker, descriptors, limit);
    if (waited != Waited::Ready) return waited;
    for (std::size_t i = running_.size(); i-- > 0;) {  // from the back: failed ones are erased on the way
      if (descriptors[i].revents == 0) continue;
      int error = 0;
      socklen_t size = sizeof error;
      if (::getsockopt(running_[i].socket.get(), SOL_SOCKET, SO_ERROR, &error, &size) != 0) error = errno;
      if (error == 0) {
        won = std::move(running_[i]);
        return waited;
      }
      failed(running_[i].peer, error);
      running_.erase(running_.begin() + static_cast<std::ptrdiff_t>(i));
    }
    return waited;
  }

  Error defeat() const {
    const char* code = refused_ ? "connect_refused" : timed_out_ ? "connect_timeout" : "network_unreachable";
    return {code, words_};
  }
  std::string timeout_words() const {
    std::string words = words_;
    for (const Connected& attempt : running_) add(words, attempt.peer.toString() + ": no answer");
    return words;
  }

 private:
  void failed(const SocketAddress& peer, int error) {
    refused_ |= error == ECONNREFUSED || error == ECONNRESET;
    timed_out_ |= error == ETIMEDOUT;
    add(words_, peer.toString() + ": " + std::strerror(error));
  }
  static void add(std::string& words, const std::string& more) { words += (words.empty() ? "" : "; ") + more; }

  const Egress& egress_;
  std::vector<SocketAddress> waiting_;
  std::size_t next_ = 0;
  TimePoint next_begin_{};
  std::vector<Connected> running_;
  bool refused_ = false, timed_out_ = false;
  std::string words_;
};

}  // namespace

Result<Connected> connect_any(const std::vector<Poco::Net::IPAddress>& addresses, std::uint16_t port, Waker& waker,
                              const StepLimit& limit, const Egress& egress) {
  Race race(addresses, port, egress);
  while (!race.over()) {
    if (race.may_begin()) {
      race.begin_next();
      continue;
    }
    std::optional<Connected> won;
    const Waited waited = race.wait(waker, race.wake_at(limit.at), won);
    if (won) return std::move(*won);
    if (waited == Waited::Cancelled) return cancelled_error("connecting");
    if (limit.passed()) return limit.error("connect_timeout", race.timeout_words());
  }
  return race.defeat();
}

}  // namespace hawser::transport
