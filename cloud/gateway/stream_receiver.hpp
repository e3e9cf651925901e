#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "cloud/store/records.hpp"
#include "core/base/result.hpp"

namespace hawser::cloud {

// Which numbers of one inbound stream are new, known, or out of order (sdk/protocol.md §5). Pure: no store, no socket.
class StreamReceiver {
 public:
  enum class Verdict { Store, Duplicate, Gap };

  explicit StreamReceiver(Seq stored) : received_(stored), stored_(stored) {}

  Verdict message(Seq seq);
  // `from` is moved up to the first number that is new.
  Verdict skipped(Seq& from, Seq to);
  void committed(Seq seq) { stored_ = seq; }

  Seq received() const { return received_; }  // highest number taken in
  Seq stored() const { return stored_; }      // highest number on stable storage
  Seq waiting() const { return received_ - stored_; }

 private:
  Seq received_, stored_;
};

// One binary message: kind, number, payload as on the wire.
struct DataMessage {
  bool durable = false, compressed = false;
  Seq seq = 0;
  std::string_view payload;
};
// An Error `policy` for a short or unknown header.
Result<DataMessage> parse_data(std::string_view bytes);

// One zstd frame with content of at most `most` bytes, window at most 8 MiB, no dictionary, nothing after it.
Result<std::string> decompress(std::string_view frame, std::size_t most);

}  // namespace hawser::cloud
