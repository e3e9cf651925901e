#include "core/host/subconnection.hpp"

#include "core/host/subconnection_loop.hpp"

namespace hawser::host {

Subconnection::Subconnection(SubconnectionSettings settings, CoreLink& link, std::function<bool()> post,
                             GatewayMaker gateway, std::function<void(const std::string&)> finished)
    : shared_(std::move(settings), link, std::move(post)),
      gateway_(std::move(gateway)),
      finished_(std::move(finished)) {}

Subconnection::~Subconnection() {
  if (thread_.joinable()) thread_.join();
}

void Subconnection::start() {
  thread_ = std::thread([this] {
    std::string problem;
    try {
      SubconnectionLoop(shared_, gateway_(shared_.waker)).run();
    } catch (const std::exception& thrown) {  // the thread's door
      problem = "the subconnection of " + service() + " ended: " + thrown.what();
    }
    finished_(problem);
  });
}

void Subconnection::notify() {
  if (!shared_.wake_pending.exchange(true)) shared_.waker.wake();
}

Subconnection::Sent Subconnection::send_durable(std::string_view data, bool compress, std::uint64_t* ticket) {
  return push(data, compress, std::nullopt, ticket);
}

Subconnection::Sent Subconnection::send_source(std::string_view source, std::string_view data, bool compress,
                                               std::uint64_t* ticket) {
  if (source.size() > kSourceBytesMax) return Sent::TooLong;
  return push(data, compress, SourceRecord::of(source, data, compress).to_bytes(), ticket);
}

Subconnection::Sent Subconnection::push(std::string_view data, bool compress, std::optional<std::string> source,
                                        std::uint64_t* ticket) {
  const std::size_t most = shared_.message_bytes_max.load();
  if (data.size() > most * kContentFactor) return Sent::TooLong;
  auto frame = compress ? compressor_.shrink(data) : std::nullopt;
  const bool compressed = frame.has_value();
  std::string payload = compressed ? std::move(*frame) : std::string(data);
  if (payload.size() + kHeaderBytes > most) return Sent::TooLong;
  switch (shared_.outbox.push(std::move(payload), compressed, ticket, std::move(source))) {
    case Outbox::Push::NeverFits:
      return Sent::TooLong;
    case Outbox::Push::Full:
      notify();  // the figures say so
      return Sent::Full;
    case Outbox::Push::Taken:
      break;
  }
  notify();
  return Sent::Ok;
}

void Subconnection::source_answer(const Mailbox::AskSource& ask, std::optional<std::string_view> content,
                                  const std::string& why) {
  SourceAnswer answer{ask.ticket, std::nullopt, false, why};
  if (content && !ask.record.fits(*content)) answer.why = "source() wrote other bytes than were handed over";
  if (content && ask.record.fits(*content)) {
    auto frame = ask.record.compress ? compressor_.shrink(*content) : std::nullopt;
    answer.compressed = frame.has_value();
    answer.payload = frame ? std::move(*frame) : std::string(*content);
  }
  {
    const std::lock_guard lock(shared_.mutex);
    shared_.answers.push_back(std::move(answer));
  }
  notify();
}

void Subconnection::heard_acked(std::uint64_t ticket) {
  {
    const std::lock_guard lock(shared_.mutex);
    shared_.heard_ticket = ticket;
  }
  notify();
}

Subconnection::Sent Subconnection::queue(BestEffortQueue::Item item) {
  const std::size_t head = item.kind == BestEffortQueue::Item::Kind::Text ? 0 : kHeaderBytes;
  if (item.payload.size() + head > shared_.message_bytes_max.load()) return Sent::TooLong;
  if (!shared_.ready.load()) return Sent::Closed;
  if (!shared_.queue.push(std::move(item))) return Sent::Full;
  notify();
  return Sent::Ok;
}

Subconnection::Sent Subconnection::send(std::string_view data, bool compress) {
  if (data.size() > shared_.message_bytes_max.load() * kContentFactor) return Sent::TooLong;
  if (!shared_.ready.load()) return Sent::Closed;
  if (auto frame = compress ? compressor_.shrink(data) : std::nullopt)
    return queue({BestEffortQueue::Item::Kind::Compressed, std::move(*frame)});
  return queue({BestEffortQueue::Item::Kind::Plain, std::string(data)});
}

Subconnection::Sent Subconnection::send_text(std::string_view json) {
  return queue({BestEffortQueue::Item::Kind::Text, std::string(json)});
}

void Subconnection::hear(const CoreWord& word) {
  {
    const std::lock_guard lock(shared_.mutex);
    // A newer grant replaces the older: a flood of them, while a dial is under way, must not push out a Stop.
    const bool replaces = word.kind == CoreWord::Kind::Grant && !shared_.words.empty() &&
                          shared_.words.back().kind == CoreWord::Kind::Grant;
    if (replaces) shared_.words.pop_back();
    if (shared_.words.size() >= kCommandsMax) {
      shared_.link.log("error", "the subconnection of " + service() + " does not keep up with the core's words");
      return;
    }
    shared_.words.push_back(word);
  }
  // A dial under way is only worth ending for what makes it pointless.
  if (word.kind == CoreWord::Kind::Grant) {
    notify();
  } else {
    shared_.waker.cancel();
  }
}

void Subconnection::verdict(VerdictWord word) {
  {
    const std::lock_guard lock(shared_.mutex);
    shared_.verdicts.push_back(std::move(word));  // one at a time: the plugin holds one message
  }
  notify();
}

}  // namespace hawser::host
