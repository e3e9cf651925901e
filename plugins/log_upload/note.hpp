#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "file.hpp"

namespace hawser::log_upload {

// What the host keeps on disk of one message instead of its bytes: enough to make the same bytes again, also when the
// file was renamed meanwhile or this is another process.
struct Note {
  std::string path;
  Inode inode;
  Fingerprint fingerprint;
  std::string header;  // as it was sent: the fields below are its own
  std::string source, file_id;
  std::uint64_t offset = 0, end_offset = 0;
};

std::string to_note(const File& file, std::string_view header);  // at most kNoteBytesMax
std::optional<Note> read_note(std::string_view text);            // nothing when it is none of ours

// The file by its old name, or by its inode in the same folder when it was renamed; only with the same beginning.
sdk::FileDescriptor find_again(const std::string& path, const Inode& inode, const Fingerprint& fingerprint);
// Another file of that folder with the same beginning and at least so many bytes: what copytruncate makes.
sdk::FileDescriptor find_copy(const std::string& path, const Fingerprint& fingerprint, std::uint64_t bytes);

}  // namespace hawser::log_upload
