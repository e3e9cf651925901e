#include "revision.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>

#include "limits.hpp"
#include "refusal.hpp"

namespace hawser::config_push {

namespace {
constexpr const char* kTemporaryPrefix = ".hawser-";
}

Assembly::Assembly(std::string state_folder, const Allowed& allowed)
    : state_folder_(std::move(state_folder)), folder_(state_folder_ + "/work"), allowed_(allowed) {
  std::filesystem::remove_all(folder_);
  if (::mkdir(folder_.c_str(), 0700) != 0) sdk::throw_errno("making " + folder_);
}

void Assembly::add(const Part& part) {
  for (const Piece& piece : part.pieces) {
    const auto known =
        std::find_if(files_.begin(), files_.end(), [&](const Growing& one) { return one.file.path == piece.path; });
    if (known == files_.end()) {
      begin_file(piece);
    } else {
      append(*known, piece);
    }
  }
}

void Assembly::begin_file(const Piece& piece) {
  if (!is_allowed(allowed_, piece.path)) {
    throw Refusal("path_refused", piece.path + " is not under the paths that plugins.d/hawser.config_push.toml allows");
  }
  if (piece.path.starts_with(state_folder_ + "/")) throw Refusal("path_refused", piece.path + " is the plugin's own");
  // Names that a staged file may have: one of the revision would be swept away with it.
  if (name_of(piece.path).starts_with(kTemporaryPrefix)) {
    throw Refusal("path_refused", piece.path + " has a name that is kept for files being put in their place");
  }
  if (files_.size() >= kFilesMax) throw Refusal("too_big", "a revision has at most 512 files");
  if (piece.offset != 0) throw Refusal("bad_payload", "the beginning of " + piece.path + " is missing");
  const std::string number = std::to_string(files_.size());
  Growing growing;
  growing.file.path = piece.path;
  growing.file.temporary = kTemporaryPrefix + number + ".new";
  growing.file.content = folder_ + "/content-" + number;
  growing.file.backup = folder_ + "/backup-" + number;
  growing.file.remove = piece.remove;
  growing.first = piece;
  growing.first.content.clear();
  files_.push_back(std::move(growing));
  if (!piece.remove) append(files_.back(), piece);
}

void Assembly::append(Growing& growing, const Piece& piece) {
  if (growing.file.remove || piece.remove || piece.offset != growing.size ||
      (!piece.sha256.empty() && piece.sha256 != growing.first.sha256)) {
    throw Refusal("bad_payload", "the pieces of " + piece.path + " do not fit together");
  }
  total_ += piece.content.size();
  if (total_ > kRevisionBytesMax) throw Refusal("too_big", "a revision has at most 64 MiB");
  const sdk::FileDescriptor file(
      ::open(growing.file.content.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!file) sdk::throw_errno("opening " + growing.file.content);
  sdk::write_all(file.get(), piece.content, growing.file.content);
  growing.digest.add(piece.content);
  growing.size += piece.content.size();
}

std::vector<JournalFile> Assembly::finish() {
  std::vector<JournalFile> files;
  for (Growing& growing : files_) {
    if (!growing.file.remove && growing.digest.hex() != growing.first.sha256) {
      throw Refusal("digest_mismatch", "the content of " + growing.file.path + " is not what its sha256 says");
    }
    const auto present = look_at(growing.file.path);
    growing.file.existed = present.has_value();
    if (present) growing.file.before = present->attributes;
    growing.file.after = wanted(growing.first, present);
    files.push_back(growing.file);
  }
  if (files.empty()) throw Refusal("bad_payload", "the revision has no files");
  return files;
}

// What the revision does not say stays as it is; a new file is 0644 and belongs to whom the plugin runs as.
Attributes Assembly::wanted(const Piece& piece, const std::optional<Present>& present) {
  Attributes attributes = present ? present->attributes : Attributes{0644, ::geteuid(), ::getegid()};
  if (piece.mode) attributes.mode = *piece.mode;
  if (piece.owner) attributes.owner = owner_of(*piece.owner);
  if (piece.group) attributes.group = group_of(*piece.group);
  return attributes;
}

}  // namespace hawser::config_push
