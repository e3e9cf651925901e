// A plugin for crash tests: hands over numbered messages durably, and notes in a journal of its own, synced, which of
// them the host said it accepted. What the journal names has to be at the cloud once and in order, whatever dies.
//
// It speaks hawser.log.v1, since that service stores every message as it came: each is the answer to a pull, so the cloud
// neither joins nor cuts what it takes for a repetition. A message is `<run> <count> <letters>`; the run rises with every
// start of the plugin, the count from 1 in each run.
//
// Journal, one line each: `S run`, `A run count ticket` (all of the run up to count are accepted), `K run count ticket`
// (acknowledged), `N run count code` (refused). A file `abort` in the folder with `before`, `between` or `accepted` makes
// it abort there, once; after a file `pause` it hands over one message more, and makes `idle` when all is acknowledged.
#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <random>
#include <string>

#include "hawser/plugin.h"

namespace {

constexpr int kOpenMax = 20'000;  // messages handed over and not acknowledged; then it waits

const hws_host* host = nullptr;

struct Given {
  std::uint64_t count, ticket;
};

struct Delivery {
  hws_ctx* ctx = nullptr;
  const hws_host_subconn* subconn = nullptr;
  hws_subconn* connection = nullptr;
  std::string folder;
  std::uint64_t period_ms = 20, burst = 4, bytes_max = 2000;
  int journal = -1;
  std::uint64_t run = 0, count = 0;
  std::deque<Given> not_accepted, not_acked;
  std::mt19937_64 random;
  bool last_given = false;
};

hws_str str(const std::string& text) { return {text.data(), text.size()}; }

void say(Delivery& self, const std::string& words) { host->log(self.ctx, HWS_LOG_INFO, str(words), nullptr, 0); }

std::string text_in(const std::string& json, const std::string& name) {
  const auto at = json.find("\"" + name + "\":\"");
  if (at == std::string::npos) return {};
  const auto from = at + name.size() + 4;
  return json.substr(from, json.find('"', from) - from);
}
std::uint64_t number_in(const std::string& json, const std::string& name, std::uint64_t otherwise) {
  const auto at = json.find("\"" + name + "\":");
  return at == std::string::npos ? otherwise : std::strtoull(json.c_str() + at + name.size() + 3, nullptr, 10);
}

// Without its journal this plugin proves nothing, so it ends with it.
void note(Delivery& self, const std::string& line) {
  const std::string whole = line + "\n";
  if (::write(self.journal, whole.data(), whole.size()) != static_cast<ssize_t>(whole.size()) ||
      ::fdatasync(self.journal) != 0)
    std::abort();
}

// The run is one more than the last in the journal; a line that a kill cut short counts for nothing.
std::uint64_t next_run(const std::string& path) {
  std::uint64_t last = 0;
  if (std::FILE* file = std::fopen(path.c_str(), "r")) {
    char line[256];
    while (std::fgets(line, sizeof line, file))
      if (std::strchr(line, '\n') && line[0] == 'S') last = std::strtoull(line + 2, nullptr, 10);
    std::fclose(file);
  }
  return last + 1;
}

bool asked_to_abort(Delivery& self, const char* where) {
  const std::string path = self.folder + "/abort";
  char words[32] = {};
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  const auto got = ::read(fd, words, sizeof words - 1);
  ::close(fd);
  if (got <= 0 || std::strcmp(words, where) != 0) return false;
  ::unlink(path.c_str());
  return true;
}

// splitmix64; the judge has the same.
std::uint64_t letters(std::uint64_t& seed) {
  std::uint64_t mixed = seed += 0x9e3779b97f4a7c15;
  mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9;
  mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111eb;
  return mixed ^ (mixed >> 31);
}

std::string message(Delivery& self, std::uint64_t count) {
  std::string body = std::to_string(self.run) + " " + std::to_string(count) + " ";
  std::uint64_t seed = self.run * 1'000'003 + count;  // so that the judge knows every byte
  const std::size_t size = body.size() + letters(seed) % self.bytes_max;
  std::string unit;
  while (unit.size() < 16) unit += static_cast<char>('a' + letters(seed) % 26);
  while (body.size() < size) body += unit.substr(0, size - body.size());
  body += '\n';
  const std::string header = R"({"source":"delivery","file_id":"delivery","offset":0,"end_offset":0,"lines":1,)"
                             R"("first_at":"","format":"text","pull":"delivery"})";
  std::string whole;
  for (int shift = 24; shift >= 0; shift -= 8) whole += static_cast<char>((header.size() >> shift) & 0xff);
  return whole + header + body;
}

// False: not now; the same message is offered again.
bool give(Delivery& self) {
  const std::string bytes = message(self, self.count + 1);
  const std::uint32_t flags = self.count % 5 == 0 ? HWS_COMPRESS : 0;
  std::uint64_t ticket = 0;
  const hws_status taken = self.subconn->send_durable(self.connection, bytes.data(), bytes.size(), flags, &ticket);
  if (taken != HWS_OK) {
    if (taken != HWS_E_AGAIN) say(self, "send_durable answered " + std::to_string(taken));
    return false;
  }
  ++self.count;
  self.not_accepted.push_back({self.count, ticket});
  self.not_acked.push_back({self.count, ticket});
  return true;
}

void tick(void* user) {
  auto& self = *static_cast<Delivery*>(user);
  if (asked_to_abort(self, "before")) std::abort();
  if (::access((self.folder + "/pause").c_str(), F_OK) == 0) {
    // One last message, so that its acknowledgement tells of all before it, of earlier runs too. Then the judge may look.
    self.last_given = self.last_given || give(self);
    const std::string idle = self.folder + "/idle";
    if (self.last_given && self.not_acked.empty()) ::close(::open(idle.c_str(), O_CREAT | O_WRONLY, 0666));
    return;
  }
  const std::uint64_t many = 1 + self.random() % self.burst;
  for (std::uint64_t i = 0; i < many && self.not_acked.size() < kOpenMax; ++i)
    if (!give(self)) return;
  if (asked_to_abort(self, "between")) std::abort();
}

// The newest of `given` that is at or below the ticket, and takes all up to it away.
bool settle(std::deque<Given>& given, std::uint64_t ticket, Given* newest) {
  bool any = false;
  for (; !given.empty() && given.front().ticket <= ticket; any = true) {
    *newest = given.front();
    given.pop_front();
  }
  return any;
}

std::string line(char what, const Delivery& self, const Given& given) {
  return std::string(1, what) + " " + std::to_string(self.run) + " " + std::to_string(given.count) + " " +
         std::to_string(given.ticket);
}

void accepted(void* user, hws_subconn*, std::uint64_t ticket) {
  auto& self = *static_cast<Delivery*>(user);
  Given newest{};
  if (!settle(self.not_accepted, ticket, &newest)) return;
  note(self, line('A', self, newest));
  if (asked_to_abort(self, "accepted")) std::abort();
}

void acked(void* user, hws_subconn*, std::uint64_t ticket) {
  auto& self = *static_cast<Delivery*>(user);
  Given newest{};
  if (settle(self.not_acked, ticket, &newest)) note(self, line('K', self, newest));
}

void nacked(void* user, hws_subconn*, std::uint64_t ticket, hws_str code, hws_str) {
  auto& self = *static_cast<Delivery*>(user);
  std::uint64_t count = 0;
  for (const auto& each : self.not_acked)
    if (each.ticket == ticket) count = each.count;
  note(self, line('N', self, {count, ticket}) + " " + std::string(code.ptr, code.len));
}

hws_status create(hws_ctx* ctx, void** self) {
  auto* made = new Delivery;
  made->ctx = ctx;
  *self = made;
  return HWS_OK;
}

hws_status configure(void* user, int32_t mode, hws_str json, const hws_sink*) {
  if (mode != HWS_CONFIG_APPLY) return HWS_OK;
  auto& self = *static_cast<Delivery*>(user);
  const std::string text(json.ptr, json.len);
  self.folder = text_in(text, "folder");
  self.period_ms = number_in(text, "period_ms", self.period_ms);
  self.burst = number_in(text, "burst", self.burst);
  self.bytes_max = number_in(text, "bytes_max", self.bytes_max);
  return HWS_OK;
}

hws_status start(void* user) {
  auto& self = *static_cast<Delivery*>(user);
  const std::string path = self.folder + "/journal";
  self.run = next_run(path);
  self.random.seed(self.run);
  self.journal = ::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
  if (self.journal < 0) {
    const std::string words = path + ": " + std::strerror(errno);
    host->error(self.ctx, HWS_E_FAIL, str(words));
    return HWS_E_FAIL;
  }
  note(self, "S " + std::to_string(self.run));
  self.subconn = static_cast<const hws_host_subconn*>(host->extension(self.ctx, HWS_EXT_SUBCONN));
  static hws_subconn_events events{};
  events.size = sizeof events;
  events.acked = acked;
  events.nacked = nacked;
  events.accepted = accepted;
  static hws_subconn_params params{};
  params.size = sizeof params;
  params.service = "log_upload";
  params.protocol = "hawser.log.v1";
  if (const hws_status opened = self.subconn->open(self.ctx, &params, &events, &self, &self.connection);
      opened != HWS_OK)
    return opened;
  host->health(self.ctx, HWS_READY, {nullptr, 0});
  return host->timer(self.ctx, self.period_ms, self.period_ms, tick, &self, nullptr);
}

void stop(void* user, uint32_t) { host->health(static_cast<Delivery*>(user)->ctx, HWS_STOPPED, {nullptr, 0}); }

const hws_plugin kTable = {sizeof(hws_plugin), HWS_ABI_MINOR, 0,    "test.delivery", "1.0.0", create,
                           configure,          start,         stop, nullptr,         nullptr};

}  // namespace

extern "C" HWS_EXPORT const hws_plugin* hawser_plugin_v1(const hws_host* with) {
  host = with;
  return &kTable;
}
