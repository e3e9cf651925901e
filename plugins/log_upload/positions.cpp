#include "positions.hpp"

#include <nlohmann/json.hpp>

#include "limits.hpp"

namespace hawser::log_upload {

using Json = nlohmann::json;

Positions::Loaded Positions::load() const {
  Loaded loaded;
  const auto text = sdk::read_file(path_, kStateBytesMax);
  if (!text) {
    loaded.first_start = true;
    return loaded;
  }
  try {
    const Json state = Json::parse(*text);
    for (const Json& json : state.at("files")) {
      auto file = std::make_shared<File>();
      file->source = json.at("source");
      file->path = json.at("path");
      file->id = json.at("file_id");
      file->inode = {json.at("device"), json.at("inode")};
      file->fingerprint = {json.at("fingerprint_bytes"), json.at("fingerprint")};
      file->acked = file->sent = json.at("acked");
      file->lost = json.at("lost");
      file->rotated = json.at("rotated");
      loaded.files.push_back(std::move(file));
    }
  } catch (const Json::exception&) {
    loaded.files.clear();
    loaded.damaged = true;
    std::rename(path_.c_str(), (path_ + ".damaged").c_str());
  }
  return loaded;
}

void Positions::save(const std::vector<std::shared_ptr<File>>& files) const {
  Json list = Json::array();
  for (const auto& file : files) {
    list.push_back({{"source", file->source},
                    {"path", file->path},
                    {"file_id", file->id},
                    {"device", file->inode.device},
                    {"inode", file->inode.number},
                    {"fingerprint_bytes", file->fingerprint.bytes},
                    {"fingerprint", file->fingerprint.hash},
                    {"acked", file->acked},
                    {"lost", file->lost},
                    {"rotated", file->rotated}});
  }
  // Names of files are any bytes: what is no UTF-8 is replaced, and such a file is found again by its inode.
  const Json state = {{"version", 1}, {"files", list}};
  sdk::write_file_atomically(path_, state.dump(1, ' ', false, Json::error_handler_t::replace));
}

}  // namespace hawser::log_upload
