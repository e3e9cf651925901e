#include <algorithm>
#include <cstring>

#include "chunk.hpp"
#include "log_upload.hpp"
#include "note.hpp"

namespace hawser::log_upload {

namespace {
constexpr std::size_t kBodyBegin = sizeof(std::uint32_t) + kHeaderBytesMax;  // in the buffer: the header ends here
}

bool LogUpload::has_room() const {
  return chunk_bytes_ != 0 && !outbox_full_ && !stopping_ && in_flight_bytes_ < kInFlightBytesMax &&
         in_flight_.size() < kInFlightMessagesMax;
}

// One turn: some of each file, at most kTurnBytesMax. The next turn comes by post while there is more, by acked() or
// writable() when there is no room.
void LogUpload::send_all() {
  std::size_t budget = kTurnBytesMax;
  bool more = true;
  while (more && has_room()) {
    more = false;
    for (std::size_t i = 0; i < files_.size() && has_room(); ++i) {
      const FilePtr file = files_[(next_file_ + i) % files_.size()];
      restart_if_truncated(*file);
      if (!may_begin(*file)) continue;
      const std::size_t sent = send_some(file);
      more = more || sent != 0;
      budget -= std::min(budget, sent);
      if (budget != 0) continue;
      next_file_ = (next_file_ + i + 1) % files_.size();
      if (more_posted_) return;
      more_posted_ = true;
      return host_.post([this] {
        more_posted_ = false;
        send_all();
      });
    }
  }
}

// The rest of the file that had this name before comes first. Once the new file has content its writer has left the
// old one; so what the old one holds after that is all.
bool LogUpload::may_begin(File& file) {
  if (!file.predecessor) return true;
  File& old = *file.predecessor;
  if (old.finished || !old.descriptor) {
    file.predecessor.reset();
    return true;
  }
  if (size_of(file) == 0) return false;
  const std::uint64_t left = size_of(old) - std::min(old.sent, size_of(old));
  const std::size_t have =
      read_at(old, old.sent, buffer_.data() + kBodyBegin, std::min<std::uint64_t>(left, chunk_bytes_));
  if (cut_chunk({buffer_.data() + kBodyBegin, have}, false).bytes != 0) return false;
  file.predecessor.reset();
  return true;
}

void LogUpload::restart_if_truncated(File& file) {
  if (size_of(file) >= file.sent && !was_rewritten(file)) return;
  host_.info("a file was truncated and is read from its beginning", {{"path", file.path}});
  file.id = new_file_id(file.inode);
  file.acked = file.sent = file.lost = 0;
  file.fingerprint = take_fingerprint(file.descriptor.get(), kFingerprintBytesMax);
  save();
}

std::size_t LogUpload::send_some(const FilePtr& file) {
  const std::uint64_t size = size_of(*file);
  if (size <= file->sent) return 0;
  const std::size_t want = static_cast<std::size_t>(std::min<std::uint64_t>(size - file->sent, chunk_bytes_));
  const std::size_t have = read_at(*file, file->sent, buffer_.data() + kBodyBegin, want);
  const std::uint64_t before = file->sent;
  return send_chunk(file, have) ? static_cast<std::size_t>(file->sent - before) : 0;
}

bool LogUpload::send_chunk(const FilePtr& file, std::size_t have) {
  const bool no_more = file->finished && have < chunk_bytes_;
  const Cut cut = cut_chunk({buffer_.data() + kBodyBegin, have}, no_more);
  if (cut.bytes == 0) return false;
  const std::uint64_t end = file->sent + cut.bytes;
  const std::string header = to_json({.source = file->source,
                                      .file_id = file->id,
                                      .offset = file->sent,
                                      .end_offset = end,
                                      .lines = cut.lines,
                                      .first_at = now_rfc3339(),
                                      .partial = cut.partial,
                                      .lost = file->lost});
  const std::string length = big_endian_length(header.size());
  const std::size_t begin = kBodyBegin - header.size() - length.size();
  std::memcpy(buffer_.data() + begin, length.data(), length.size());
  std::memcpy(buffer_.data() + begin + length.size(), header.data(), header.size());
  const std::size_t bytes = length.size() + header.size() + cut.bytes;
  if (file->fingerprint.bytes < std::min<std::uint64_t>(end, kFingerprintBytesMax)) {
    file->fingerprint = take_fingerprint(file->descriptor.get(), end);
  }
  const auto number =
      cloud_->send_source(to_note(*file, header), sdk::to_bytes(buffer_.data() + begin, bytes), HWS_COMPRESS);
  if (!number) {
    outbox_full_ = true;  // the source is paused: the file keeps it
    return false;
  }
  in_flight_.push_back({*number, file, file->id, file->sent, end, bytes});
  in_flight_bytes_ += bytes;
  file->sent = end;
  file->lost = 0;
  return true;
}

// The same message once more, from the file under whatever name it has now. Whether these are the same bytes is the
// host's to see.
std::optional<std::string> LogUpload::bytes_again(std::string_view source) const {
  const auto note = read_note(source);
  if (!note) return std::nullopt;
  File other;
  const FilePtr known = known_id(note->file_id);
  const bool is_open = known && known->descriptor && size_of(*known) >= note->end_offset;
  if (!is_open) {
    other.path = note->path;
    other.descriptor = find_again(note->path, note->inode, note->fingerprint);
    if (!other.descriptor || size_of(other) < note->end_offset)
      other.descriptor = find_copy(note->path, note->fingerprint, note->end_offset);
    if (!other.descriptor) return std::nullopt;
  }
  const std::size_t size = static_cast<std::size_t>(note->end_offset - note->offset);
  std::string bytes = big_endian_length(note->header.size()) + note->header;
  const std::size_t head = bytes.size();
  bytes.resize(head + size);
  if (read_at(is_open ? *known : other, note->offset, bytes.data() + head, size) != size) return std::nullopt;
  return bytes;
}

}  // namespace hawser::log_upload
