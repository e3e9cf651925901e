#include "core/host/received_store.hpp"

#include "core/base/files.hpp"
#include "core/base/json.hpp"

namespace hawser::host {
namespace {
constexpr std::size_t kFileBytesMax = 4096;
}

ReceivedFile::ReceivedFile(const std::filesystem::path& state_dir, const std::string& service)
    : path_(state_dir / (".hawser-received-" + service)) {}

Received ReceivedFile::load() {
  const auto text = read_file(path_, kFileBytesMax);
  if (!text) return {};
  const auto object = json::parse_object(*text);
  if (!object) return {};
  const auto stream = json::text_member(*object, "stream");
  const auto number = json::integer_member(*object, "number");
  if (!stream || !number) return {};
  return {*stream, static_cast<std::uint64_t>(*number)};
}

Status ReceivedFile::save(const Received& received) {
  auto object = json::make_object();
  object->set("stream", received.stream);
  object->set("number", received.number);
  return write_file_atomically(path_, json::to_text(object) + "\n");
}

}  // namespace hawser::host
