#include "note.hpp"

#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>

#include "limits.hpp"

namespace hawser::log_upload {

using Json = nlohmann::json;

namespace {

// Every file of the folder, `path` itself first, until one is taken.
sdk::FileDescriptor first_in_folder(const std::string& path,
                                    const std::function<bool(int descriptor, const struct stat&)>& wanted) {
  const auto look = [&](const std::string& name) {
    struct stat found {};
    sdk::FileDescriptor opened = open_regular(name, found);
    return opened && wanted(opened.get(), found) ? std::move(opened) : sdk::FileDescriptor();
  };
  if (sdk::FileDescriptor same = look(path)) return same;
  std::error_code fault;
  const std::filesystem::path folder = std::filesystem::path(path).parent_path();
  for (std::filesystem::directory_iterator at(folder, fault), end; !fault && at != end; at.increment(fault)) {
    if (sdk::FileDescriptor other = look(at->path().string())) return other;
  }
  return {};
}

}  // namespace

std::string to_note(const File& file, std::string_view header) {
  Json json = {{"path", file.path},
               {"device", file.inode.device},
               {"inode", file.inode.number},
               {"fingerprint_bytes", file.fingerprint.bytes},
               {"fingerprint", file.fingerprint.hash},
               {"header", header}};
  const auto text = [&] { return json.dump(-1, ' ', false, Json::error_handler_t::replace); };
  std::string note = text();
  if (note.size() <= kNoteBytesMax) return note;
  json["path"] = "";  // very long: then only the instance that has it open, or in its positions, finds it
  return text();
}

std::optional<Note> read_note(std::string_view text) {
  try {
    const Json json = Json::parse(text);
    Note note;
    note.path = json.at("path");
    note.inode = {json.at("device"), json.at("inode")};
    note.fingerprint = {json.at("fingerprint_bytes"), json.at("fingerprint")};
    note.header = json.at("header");
    const Json header = Json::parse(note.header);
    note.source = header.at("source");
    note.file_id = header.at("file_id");
    note.offset = header.at("offset");
    note.end_offset = header.at("end_offset");
    if (note.end_offset < note.offset || note.end_offset - note.offset > kChunkBytesMax) return std::nullopt;
    return note;
  } catch (const Json::exception&) {
    return std::nullopt;
  }
}

sdk::FileDescriptor find_again(const std::string& path, const Inode& inode, const Fingerprint& fingerprint) {
  return first_in_folder(path, [&](int descriptor, const struct stat& found) {
    return inode_of(found) == inode && has_fingerprint(descriptor, fingerprint);
  });
}

sdk::FileDescriptor find_copy(const std::string& path, const Fingerprint& fingerprint, std::uint64_t bytes) {
  if (fingerprint.bytes == 0) return {};
  return first_in_folder(path, [&](int descriptor, const struct stat& found) {
    return static_cast<std::uint64_t>(found.st_size) >= bytes && has_fingerprint(descriptor, fingerprint);
  });
}

}  // namespace hawser::log_upload
