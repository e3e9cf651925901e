#include "core/control/channel.hpp"

#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <memory>

namespace hawser::control {
namespace {

void put(std::string& out, std::uint32_t number) {
  for (int shift = 0; shift < 32; shift += 8) out += static_cast<char>((number >> shift) & 0xff);
}

std::uint32_t take(const char* from) {
  std::uint32_t number = 0;
  for (unsigned i = 0; i < 4; ++i) number |= std::uint32_t{static_cast<unsigned char>(from[i])} << (8 * i);
  return number;
}

Error system_error(const char* doing) { return {"closed", std::string(doing) + ": " + std::strerror(errno)}; }

// How many there were. The kernel itself closes those that the buffer has no room for.
std::size_t close_stray_descriptors(msghdr& message) {
  std::size_t strays = 0;
  for (cmsghdr* part = CMSG_FIRSTHDR(&message); part; part = CMSG_NXTHDR(&message, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(part) + i * sizeof fd, sizeof fd);
      ::close(fd);
    }
    strays += count;
  }
  return strays;
}

Error bad(const std::string& what) { return {"bad_payload", "a control message " + what}; }

// What is wrong with the header of a packet of `size` bytes; empty: nothing.
std::string header_fault(const char* packet, std::size_t size, std::uint32_t number) {
  if (size < kChannelHeaderBytes)
    return "has " + std::to_string(size) + " bytes, its header alone has " + std::to_string(kChannelHeaderBytes);
  if (take(packet) != kChannelMagic) return "does not begin as one";
  const std::uint32_t length = take(packet + 4);
  if (length > kChannelTextMax) return "claims " + std::to_string(length) + " bytes, over the 128 KiB of the longest";
  if (length != size - kChannelHeaderBytes)
    return "claims " + std::to_string(length) + " bytes and has " + std::to_string(size - kChannelHeaderBytes);
  if (take(packet + 8) != number)
    return "has number " + std::to_string(take(packet + 8)) + " where " + std::to_string(number) + " was due";
  return "";
}

}  // namespace

Result<std::pair<Descriptor, Descriptor>> Channel::make_pair() {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) != 0)
    return system_error("socketpair");
  return std::pair(Descriptor(ends[0]), Descriptor(ends[1]));
}

Status Channel::send(const json::Object& message) {
  const std::string text = json::to_text(message);
  if (text.size() > kChannelTextMax) return Error{"too_big", "a control message is over 128 KiB"};
  if (queue_.size() >= kChannelQueueMax)
    return Error{"queue_full", "256 control messages wait: the other end does not read"};
  std::string packet;
  packet.reserve(kChannelHeaderBytes + text.size());
  put(packet, kChannelMagic);
  put(packet, static_cast<std::uint32_t>(text.size()));
  put(packet, ++sent_);
  put(packet, 0);
  packet += text;
  queue_.push_back(std::move(packet));
  return flush();
}

Status Channel::flush() {
  while (!queue_.empty()) {
    const std::string& packet = queue_.front();
    if (::send(socket_.get(), packet.data(), packet.size(), MSG_NOSIGNAL) < 0) {
      if (errno == EINTR) continue;
      if (errno == EAGAIN || errno == EWOULDBLOCK) return ok();
      return system_error("the control channel");
    }
    queue_.pop_front();
  }
  return ok();
}

Result<std::optional<json::Object>> Channel::receive() {
  // On the heap of the threads that receive: as a thread-local array it would cost each thread of the process as much.
  using Packet = std::array<char, kChannelHeaderBytes + kChannelTextMax>;
  static thread_local const std::unique_ptr<Packet> buffer(new Packet);
  Packet& packet = *buffer;
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int) * 8)> extra{};
  iovec part{packet.data(), packet.size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = extra.data();
  message.msg_controllen = extra.size();
  ssize_t got = 0;
  do got = ::recvmsg(socket_.get(), &message, MSG_CMSG_CLOEXEC);
  while (got < 0 && errno == EINTR);
  if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return std::optional<json::Object>{};
  if (got < 0) return system_error("the control channel");
  if (got == 0) return Error{"closed", "the other end of the control channel is gone"};
  if (close_stray_descriptors(message) > 0 || (message.msg_flags & MSG_CTRUNC))
    return bad("came with descriptors, which nobody asked for; they were closed");
  if (message.msg_flags & MSG_TRUNC) return bad("is over the 128 KiB of the longest");
  const auto size = static_cast<std::size_t>(got);
  if (const auto fault = header_fault(packet.data(), size, received_ + 1); !fault.empty()) return bad(fault);
  ++received_;
  auto object = json::parse_object({packet.data() + kChannelHeaderBytes, size - kChannelHeaderBytes});
  if (!object) return bad("is " + object.error().message);
  if (!json::text_member(*object, "type")) return bad("has no type");
  return std::optional<json::Object>{std::move(*object)};
}

}  // namespace hawser::control
