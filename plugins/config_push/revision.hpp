#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "allowed.hpp"
#include "encoding.hpp"
#include "journal.hpp"
#include "message.hpp"

namespace hawser::config_push {

// Puts the pieces of a revision's parts together: every file's new content lies in the state folder afterwards, its
// digest checked, and nothing outside that folder was touched. Throws Refusal.
class Assembly {
 public:
  Assembly(std::string state_folder, const Allowed& allowed);  // empties its folder

  void add(const Part& part);
  std::vector<JournalFile> finish();  // checks digests and targets; how each file is and shall be

 private:
  struct Growing {
    JournalFile file;
    Piece first;  // without its content
    Sha256 digest;
    std::uint64_t size = 0;
  };
  void begin_file(const Piece& piece);
  void append(Growing& growing, const Piece& piece);
  static Attributes wanted(const Piece& piece, const std::optional<Present>& present);

  std::string state_folder_, folder_;
  const Allowed& allowed_;
  std::vector<Growing> files_;
  std::uint64_t total_ = 0;
};

}  // namespace hawser::config_push
