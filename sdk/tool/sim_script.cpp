#include "sdk/tool/sim_script.hpp"

#include <algorithm>
#include <sstream>

#include "core/base/encoding.hpp"
#include "core/base/files.hpp"

namespace hawser::tool {
namespace {

using Json = nlohmann::json;

constexpr const char* kOfAll[] = {"at_ms#", "do", "service"};

Error refused(const std::string& sentence) { return {"bad_payload", sentence}; }

Result<std::int64_t> milliseconds(const Json& object, const char* name, std::int64_t otherwise) {
  const auto found = object.find(name);
  if (found == object.end()) return otherwise;
  if (found->is_number_integer() && *found >= 0 && *found <= kScriptMsMax) return found->get<std::int64_t>();
  return refused(std::string(name) + " must be a whole number of milliseconds, at most a day");
}

const StepKind* kind_of(const std::string& name) {
  const auto kind =
      std::find_if(kStepKinds.begin(), kStepKinds.end(), [&](const StepKind& one) { return one.name == name; });
  return kind == kStepKinds.end() ? nullptr : &*kind;
}

// Each member is one of the kind's, and of its type.
Status check_words(const Json& step, const StepKind& kind) {
  std::vector<std::string> allowed(std::begin(kOfAll), std::end(kOfAll));
  std::istringstream words{std::string(kind.words)};
  for (std::string word; words >> word;) allowed.push_back(word);
  for (const auto& [name, value] : step.items()) {
    const bool number = std::count(allowed.begin(), allowed.end(), name + "#") != 0;
    if (!number && std::count(allowed.begin(), allowed.end(), name) == 0)
      return refused(printable(name) + " is nothing that \"" + std::string(kind.name) + "\" has; it has " +
                     (kind.words.empty() ? "no members of its own" : std::string(kind.words)));
    if (number && !value.is_number_integer()) return refused(name + " must be a whole number");
    if (!number && name != "config" && !value.is_string()) return refused(name + " must be a text");
    if (name == "config" && !value.is_object()) return refused("config must be an object");
  }
  return ok();
}

Result<Step> read_step(const Json& from) {
  if (!from.is_object() || !from.contains("do") || !from["do"].is_string())
    return refused("a step is an object with at_ms and do");
  const StepKind* const kind = kind_of(from["do"]);
  if (!kind) {
    std::string known;
    for (const auto& one : kStepKinds) known += (known.empty() ? "" : ", ") + std::string(one.name);
    return refused("there is no step " + printable(from["do"].get<std::string>()) + "; there are " + known);
  }
  if (const auto status = check_words(from, *kind); !status) return status.error();
  const auto at = milliseconds(from, "at_ms", 0);
  if (!at) return at.error();
  return Step{std::chrono::milliseconds(*at), std::string(kind->name), from};
}

}  // namespace

const std::vector<StepKind> kStepKinds = {
    {"open", "", "the cloud takes the subconnection"},
    {"close", "reason detail retry_ms#", "the subconnection ends"},
    {"deny", "reason detail retry_ms#", "the cloud gives no grant: refused, by default not_enabled_for_site"},
    {"delay", "ms#", "from now on acknowledgements come this much later"},
    {"throttle", "ms#", "the outbox is full for this long, then writable"},
    {"flap", "times# every_ms#", "the subconnection ends and is there again, several times"},
    {"expire", "ms#", "the grant expires; a new one comes after this long"},
    {"revoke", "", "the grant is taken back"},
    {"corrupt", "times# seed#", "messages that mean nothing, of every kind"},
    {"nack", "times# code", "the cloud refuses the next durable messages for good"},
    {"silence", "", "nothing is acknowledged from now on"},
    {"acknowledge", "", "everything is acknowledged at once again"},
    {"message", "data", "a best-effort message"},
    {"text", "data", "a text message"},
    {"durable", "data", "a durable message"},
    {"configure", "config", "the operator changes the configuration: CHECK, then APPLY"},
    {"reach", "how", "what `cloud reached` is answered: reached, out_of_reach or silent"},
    {"action", "name exit_code# output", "the operator defines this action, or lets it end otherwise"},
    {"disk_full", "", "the private state cannot be written"},
    {"disk_free", "", "it can again"},
    {"clock", "jump_s#", "the time of day is this far from the true one"},
    {"kill", "", "the host is killed; a new instance starts with what is left"},
    {"stop", "deadline_ms#", "the operator stops the plugin; the script ends"},
};

Result<Script> read_script(const std::filesystem::path& file) {
  const auto text = read_file(file, kScriptBytesMax);
  if (!text) return text.error();
  const Json json = Json::parse(*text, nullptr, false, true);
  if (!json.is_object() || !json.contains("steps") || !json["steps"].is_array() || json["steps"].size() > kStepsMax)
    return refused(file.string() + " is not one JSON object with a list of at most 10000 steps");
  Script script;
  if (json.contains("config")) {
    if (!json["config"].is_object()) return refused(file.string() + ": config must be an object");
    script.config = json["config"].dump();
  }
  for (std::size_t i = 0; i < json["steps"].size(); ++i) {
    auto step = read_step(json["steps"][i]);
    if (!step) return step.error().with_context(file.string() + ": step " + std::to_string(i + 1));
    script.steps.push_back(*step);
  }
  std::stable_sort(script.steps.begin(), script.steps.end(), [](const Step& a, const Step& b) { return a.at < b.at; });
  const auto last = script.steps.empty() ? std::chrono::milliseconds(0) : script.steps.back().at;
  const auto until = milliseconds(json, "until_ms", (last + std::chrono::seconds(10)).count());
  if (!until) return until.error().with_context(file.string());
  script.until = std::chrono::milliseconds(*until);
  return script;
}

}  // namespace hawser::tool
