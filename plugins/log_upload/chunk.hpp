#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace hawser::log_upload {

// What one message takes from the beginning of `data`.
struct Cut {
  std::size_t bytes = 0;  // 0: nothing yet, the line has no end
  std::uint32_t lines = 0;
  bool partial = false;  // one piece of a line that is too long, or a last line without newline
};

// Whole lines as far as they go, byte for byte. A line over kLineBytesMax is cut: its pieces go one to a message,
// except that what is left of it goes with the lines that follow. `no_more`: the file is finished and `data` is its
// end.
Cut cut_chunk(std::string_view data, bool no_more);

// The header of a message (sdk/protocol.md §6), as JSON.
struct Header {
  std::string_view source, file_id;
  std::uint64_t offset = 0, end_offset = 0;
  std::uint32_t lines = 0;
  std::string first_at;  // RFC 3339
  bool partial = false;
  std::uint64_t lost = 0;
};
std::string to_json(const Header& header);

// The answer to a `pull` that cannot be done: a whole payload.
std::string refused_pull(std::string_view pull_id, std::string_view source, std::string_view code,
                         std::string_view message);

std::string big_endian_length(std::size_t length);  // four bytes
std::string now_rfc3339();

}  // namespace hawser::log_upload
