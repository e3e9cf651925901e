#include "core/transport/output_queue.hpp"

#include <algorithm>
#include <cstring>

namespace hawser::transport {
namespace {

constexpr std::size_t kFrameHeaderMax = 14;
constexpr std::size_t kStoreMin = 4 * 1024;
constexpr std::size_t kStoreKept = 128 * 1024;  // a larger store is given back by an idle connection

std::string_view part(std::string_view head, std::string_view body, std::size_t from, std::size_t to, bool of_head) {
  const std::size_t shift = of_head ? 0 : head.size();
  const std::string_view whole = of_head ? head : body;
  const std::size_t begin = std::clamp(from, shift, shift + whole.size()) - shift;
  const std::size_t end = std::clamp(to, shift, shift + whole.size()) - shift;
  return whole.substr(begin, end - begin);
}

}  // namespace

void OutputQueue::message(Opcode opcode, std::string_view head, std::string_view body) {
  if (closed_) return;
  const std::size_t total = head.size() + body.size();
  make_room(total + (total / kFrameBytesMax + 1) * kFrameHeaderMax);  // once, not for each frame
  std::size_t from = 0;
  do {
    const std::size_t to = std::min(total, from + kFrameBytesMax);
    append_frame(from == 0 ? opcode : Opcode::Continuation, to == total, part(head, body, from, to, true),
                 part(head, body, from, to, false));
    from = to;
  } while (from < total);
}

void OutputQueue::close(std::string_view payload) {
  if (closed_) return;
  append_frame(Opcode::Close, true, payload, {});
  closed_ = true;
}

void OutputQueue::ping(std::string_view payload) {
  if (!closed_) ping_ = control_frame(Opcode::Ping, payload);
  // Not as soon as it runs empty: under load it does so many times a second, and fresh memory costs a fault a page.
  if (begin_ == end_ && capacity_ > kStoreKept) {
    store_.reset();
    capacity_ = 0;
  }
}

void OutputQueue::pong(std::string_view payload) {
  if (!closed_) pong_ = control_frame(Opcode::Pong, payload);
}

void OutputQueue::drop_unsent() {
  if (closed_) return;
  ping_.reset();
  pong_.reset();
  // Frames that the last offer() named, even in part, are kept: the TLS layer may hold them already.
  std::size_t kept = 0, count = 0;
  const std::size_t must_keep = std::max<std::size_t>(offered_, first_frame_begun_ ? 1 : 0);
  while (count < frames_.size() && kept < must_keep) kept += frames_[count++];
  frames_.resize(count);
  end_ = begin_ + kept;
}

std::string_view OutputQueue::offer() {
  if (!control_.empty()) return control_;
  if (offered_ == 0) {
    if (!first_frame_begun_ && take_control()) return control_;
    offered_ = std::min(end_ - begin_, kRecordBytes);
    // A control frame waits: stop at the next place where it may go.
    if (ping_ || pong_) offered_ = std::min(offered_, bytes_to_next_boundary());
  }
  return {store_.get() + begin_, offered_};
}

void OutputQueue::consume(std::size_t bytes) {
  if (!control_.empty()) {
    control_.erase(0, bytes);
    return;
  }
  offered_ = 0;
  begin_ += bytes;
  while (bytes > 0) {
    std::size_t& left = frames_.front();
    const std::size_t now = std::min(bytes, left);
    left -= now;
    bytes -= now;
    first_frame_begun_ = left > 0;
    if (left == 0) frames_.pop_front();
  }
  if (begin_ < end_) return;
  begin_ = end_ = 0;
  if (closed_) {  // our Close is out: nothing may follow
    ping_.reset();
    pong_.reset();
  }
}

void OutputQueue::append_frame(Opcode opcode, bool final, std::string_view head, std::string_view body) {
  const std::size_t bytes = frame_bytes(head.size() + body.size());
  encode_frame(grow(bytes), opcode, final, head, body, keys_.next());
  frames_.push_back(bytes);
}

char* OutputQueue::grow(std::size_t bytes) {
  make_room(bytes);
  char* const at = store_.get() + end_;
  end_ += bytes;
  return at;
}

void OutputQueue::make_room(std::size_t bytes) {
  if (end_ + bytes <= capacity_) return;
  const std::size_t used = end_ - begin_;
  // Moved down in place only when that frees at least half of the store, so that each byte is moved a bounded number of
  // times.
  if (used + bytes <= capacity_ / 2) {
    std::memmove(store_.get(), store_.get() + begin_, used);
  } else {
    const std::size_t room = std::max({kStoreMin, capacity_ * 2, used + bytes});
    auto bigger = std::make_unique_for_overwrite<char[]>(room);
    if (used > 0) std::memcpy(bigger.get(), store_.get() + begin_, used);
    store_ = std::move(bigger);
    capacity_ = room;
  }
  begin_ = 0;
  end_ = used;
}

std::string OutputQueue::control_frame(Opcode opcode, std::string_view payload) {
  payload = payload.substr(0, 125);  // RFC 6455 §5.5
  std::string frame(frame_bytes(payload.size()), '\0');
  encode_frame(frame.data(), opcode, true, payload, {}, keys_.next());
  return frame;
}

std::size_t OutputQueue::waiting_control_bytes() const {
  return (ping_ ? ping_->size() : 0) + (pong_ ? pong_->size() : 0);
}

// Puts the waiting control frames on their way, pong first.
bool OutputQueue::take_control() {
  if (pong_) control_ += *pong_;
  if (ping_) control_ += *ping_;
  pong_.reset();
  ping_.reset();
  return !control_.empty();
}

std::size_t OutputQueue::bytes_to_next_boundary() const { return frames_.empty() ? 0 : frames_.front(); }

}  // namespace hawser::transport
