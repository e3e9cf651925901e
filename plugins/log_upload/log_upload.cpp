#include "log_upload.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "chunk.hpp"
#include "note.hpp"

namespace hawser::log_upload {

using Json = nlohmann::json;

sdk::ConfigAnswer LogUpload::configure(std::string_view json, bool apply) {
  auto read = sources_from_config(json);
  if (const auto* why = std::get_if<std::string>(&read)) return sdk::ConfigAnswer::refused(*why);
  if (!apply) return sdk::ConfigAnswer::accepted();
  sources_ = std::get<Sources>(std::move(read));
  if (begun_) look();
  return sdk::ConfigAnswer::accepted();
}

void LogUpload::start() {
  const auto folder = host_.fact("plugin.state_dir");
  if (!folder) throw sdk::Error(HWS_E_UNSUPPORTED, "this host gives no plugin.state_dir, so no position could be kept");
  positions_.emplace(*folder);
  buffer_.resize(sizeof(std::uint32_t) + kHeaderBytesMax + kChunkBytesMax);
  watch_.emplace();
  take_up_positions();
  connect();
}

void LogUpload::connect() {
  sdk::SubconnectionHandlers on;
  on.opened = [this](std::string_view about) { opened(about); };
  on.durable = [this](const sdk::DurableMessage& message) { return from_cloud(message); };
  on.acked = [this](std::uint64_t number) { acked(number); };
  on.nacked = [this](std::uint64_t number, std::string_view code, std::string_view message) {
    nacked(number, code, message);
  };
  on.writable = [this] {
    outbox_full_ = false;
    send_all();
  };
  on.accepted = [this](std::uint64_t number) { settle_pull(number); };
  on.source = [this](std::uint64_t, std::string_view source) { return bytes_again(source); };
  on.found = [this](std::uint64_t number, std::string_view source) { found(number, source); };
  on.resumed = [this](std::uint64_t) { begin(); };
  cloud_ = &host_.open("log_upload", "hawser.log.v1", std::move(on), {.outbox_bytes = kOutboxBytes});
}

// A message of the last run that the positions do not cover: its file goes on after it.
void LogUpload::found(std::uint64_t number, std::string_view source) {
  const auto note = read_note(source);
  if (!note) return;
  first_start_ = false;
  FilePtr file = known_id(note->file_id);
  if (!file) {  // the positions were lost, or the file was done with
    file = std::make_shared<File>();
    file->descriptor = find_again(note->path, note->inode, note->fingerprint);
    if (!file->descriptor) return;  // gone: nothing to go on with, and bytes_again() will say so
    file->source = note->source;
    file->path = note->path;
    file->id = note->file_id;
    file->inode = note->inode;
    file->fingerprint = note->fingerprint;
    file->acked = note->offset;
    follow(file);
  }
  file->sent = std::max(file->sent, note->end_offset);
  const std::size_t bytes = sizeof(std::uint32_t) + note->header.size() + (note->end_offset - note->offset);
  in_flight_.push_back({number, file, note->file_id, note->offset, note->end_offset, bytes});
  in_flight_bytes_ += bytes;
}

void LogUpload::begin() {
  begun_ = true;
  host_.watch(watch_->descriptor(), [this] { something_changed(); });
  host_.every(kRescanPeriod, [this] { look(); });
  look();
  first_start_ = false;  // files that appear from now on are read from their beginning
}

// What is in flight would be sent again after a restart, and a file may be gone by then: it is worth waiting for its
// acknowledgement.
void LogUpload::stop(sdk::Milliseconds deadline) {
  stopping_ = true;
  stopped_if_empty();
  if (stopped_) return;
  host_.after(deadline * 4 / 5, [this] {
    in_flight_.clear();
    stopped_if_empty();
  });
}

void LogUpload::stopped_if_empty() {
  if (!stopping_ || stopped_ || !in_flight_.empty()) return;
  stopped_ = true;
  host_.health(HWS_STOPPED);
}

void LogUpload::opened(std::string_view about) {
  const Json json = Json::parse(about, nullptr, false);
  std::size_t limit = kChunkBytesMax;
  if (json.is_object() && json.contains("max_message_bytes") && json.at("max_message_bytes").is_number_unsigned()) {
    const std::size_t around = kFrameBytes + sizeof(std::uint32_t) + kHeaderBytesMax;
    const auto allowed = json.at("max_message_bytes").get<std::size_t>();
    limit = std::min(limit, allowed > around ? allowed - around : 0);
  }
  // A chunk has to hold the longest line, or it could not be told from one that has no end yet.
  if (limit <= kLineBytesMax) {
    host_.health(HWS_DEGRADED, "the grant's max_message_bytes is too small for log lines of 64 KiB");
    return;
  }
  chunk_bytes_ = limit;
  outbox_full_ = false;
  send_all();
}

sdk::Verdict LogUpload::from_cloud(const sdk::DurableMessage& message) {
  const Json json = Json::parse(sdk::to_view(message.data), nullptr, false);
  if (!json.is_object() || json.value("type", Json()) != "pull") {
    return sdk::Verdict::refused("unknown_command: this plugin knows \"pull\" only");
  }
  const Json id = json.value("id", Json()), source = json.value("source", Json());
  if (!id.is_string() || id.get_ref<const std::string&>().empty() || id.get_ref<const std::string&>().size() > 128 ||
      !source.is_string() || source.get_ref<const std::string&>().empty()) {
    return sdk::Verdict::refused("a pull needs an id and a source");
  }
  const std::string answer =
      refused_pull(id.get<std::string>(), source.get<std::string>().substr(0, 128), "unknown_command",
                   "this version of hawser.log_upload follows files and cannot search them yet");
  const auto number = cloud_->send_durable(sdk::to_bytes(answer));
  if (!number) return sdk::Verdict::again();
  pull_answer_ = {*number, message.number};
  return sdk::Verdict::settled_later();
}

// A pull is done when its answer is safe. (Where the disk refuses, nothing is accepted, but acknowledged it may be.)
void LogUpload::settle_pull(std::uint64_t number) {
  if (!pull_answer_ || number < pull_answer_->number) return;
  const std::uint64_t asked = pull_answer_->asked;
  pull_answer_.reset();
  cloud_->settle(asked, sdk::Verdict::taken());
}

void LogUpload::acked(std::uint64_t number) {
  settle_pull(number);
  bool moved = false;
  while (!in_flight_.empty() && in_flight_.front().number <= number) {
    const InFlight& front = in_flight_.front();
    if (front.file->id == front.file_id) front.file->acked = front.end_offset;
    in_flight_bytes_ -= front.bytes;
    in_flight_.pop_front();
    moved = true;
  }
  if (!moved) return;
  forget_done();
  save();
  send_all();
  stopped_if_empty();
}

void LogUpload::nacked(std::uint64_t number, std::string_view code, std::string_view message) {
  const auto at =
      std::find_if(in_flight_.begin(), in_flight_.end(), [&](const InFlight& one) { return one.number == number; });
  if (at == in_flight_.end()) return;
  const std::uint64_t bytes = at->end_offset - at->offset;
  if (at->file->id == at->file_id) at->file->lost += bytes;
  host_.warn("the cloud refused a piece of " + at->file->path,
             {{"code", code}, {"message", message}, {"bytes", std::to_string(bytes)}});
}

// A busy file changes thousands of times a second: the first change starts the delay, and no other is looked at until
// it is over.
void LogUpload::something_changed() {
  if (flush_waits_) return;
  flush_waits_ = true;
  host_.unwatch(watch_->descriptor());
  host_.after(kFlushDelay, [this] {
    flush_waits_ = false;
    host_.watch(watch_->descriptor(), [this] { something_changed(); });
    if (watch_->take_events()) {
      look();
    } else {
      send_all();
    }
  });
}

void LogUpload::look() {
  find_files();
  report_health();
  send_all();
}

void LogUpload::save() {
  for (const FilePtr& file : files_) {
    if (file->fingerprint.bytes < std::min<std::uint64_t>(file->acked, kFingerprintBytesMax)) {
      file->fingerprint = take_fingerprint(file->descriptor.get(), file->acked);
    }
  }
  positions_->save(files_);
}

void LogUpload::report_health() {
  if (stopping_) return;
  if (sources_.empty()) return host_.health(HWS_READY, "no sources are configured");
  host_.health(HWS_READY, std::to_string(files_.size()) + " files are followed");
}

}  // namespace hawser::log_upload
