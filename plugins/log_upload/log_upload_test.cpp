#include "test_device.hpp"

namespace hawser::log_upload {
namespace {

TEST_CASE("what a file holds and what is appended arrives, line by line and byte for byte") {
  Device device;
  const std::string binary = std::string("\0\xff\xfe tab\t\r\n", 10);
  device.append("a.log", "first\n" + binary);
  Run run(device, device.config("*.log"));
  REQUIRE(run.arrives("first\n" + binary));
  device.append("a.log", "second\nhal");
  REQUIRE(run.arrives("first\n" + binary + "second\n"));
  device.append("a.log", "f\n");
  REQUIRE(run.arrives("first\n" + binary + "second\nhalf\n"));
  CHECK(device.cloud.files.size() == 1);
  CHECK(device.cloud.headers.at(0).at("source") == "test");
  CHECK(device.cloud.headers.at(0).at("lines") == 2);
  CHECK(device.cloud.headers.at(0).at("format") == "text");
  CHECK(run.end->durable_sent.at(0).flags == HWS_COMPRESS);
  CHECK(run.host.healthy(HWS_READY));
}

TEST_CASE("lines that come within a moment share a message") {
  Device device;
  device.append("a.log", "");
  Run run(device, device.config("a.log"));
  for (int i = 0; i < 50; ++i) device.append("a.log", "x\n");
  run.host.settle_down();
  run.host.advance(kFlushDelay);
  CHECK(run.end->durable_sent.size() == 1);
  CHECK(parse(run.end->durable_sent.at(0).data).header.at("lines") == 50);
}

TEST_CASE("nothing is read before the cloud is there") {
  Device device;
  device.append("a.log", lines(0, 10));
  Run run(device, device.config("*.log"), false);
  run.host.advance(30s);
  CHECK(run.end->durable_sent.empty());
  run.end->open();
  REQUIRE(run.arrives(lines(0, 10)));
}

TEST_CASE("the position moves only with the acknowledgement: after kill -9 the upload goes on there") {
  Device device;
  device.append("a.log", lines(0, 10));
  {
    Run run(device, device.config("a.log"));
    REQUIRE(run.arrives(lines(0, 10)));
    device.append("a.log", lines(10, 20));
    run.host.run_until([&] { return run.end->durable_sent.size() == 2; });
    REQUIRE(run.end->durable_sent.size() == 2);  // sent, never acknowledged, never arrived
  }
  device.append("a.log", lines(20, 30));
  Run run(device, device.config("a.log"));
  REQUIRE(run.arrives(lines(0, 30)));
  CHECK(device.cloud.files.size() == 1);  // the same file_id, contiguous
}

TEST_CASE("a damaged file of positions is put aside and said") {
  Device device;
  std::ofstream(device.state / "positions.json") << R"({"files":[{"path":7}]})";
  device.append("a.log", "x\n");
  Run run(device, device.config("a.log"));
  REQUIRE(run.arrives("x\n"));
  CHECK(run.host.logged("damaged"));
  CHECK(fs::exists(device.state / "positions.json.damaged"));
}

TEST_CASE("from the end: old content of the first start is left out, new files are whole") {
  Device device;
  device.append("a.log", "old\n");
  Run run(device, device.config("*.log", "end"));
  device.append("a.log", "new\n");
  REQUIRE(run.arrives("new\n"));
  device.append("b.log", "whole\n");
  REQUIRE(run.arrives("new\nwhole\n"));
}

TEST_CASE("little is in flight: without acknowledgements reading pauses, with them it goes on to the last line") {
  Device device;
  std::string text;
  for (int i = 0; text.size() < 12u << 20; ++i)
    text += "a line of some length to fill the file " + std::to_string(i) + "\n";
  device.append("big.log", text);
  Run run(device, device.config("big.log"));
  run.host.advance(30s);
  CHECK(run.end->unacknowledged_bytes() <= kInFlightBytesMax + kChunkBytesMax + kHeaderBytesMax);
  for (const auto& message : run.end->durable_sent) CHECK(parse(message.data).body.size() <= kChunkBytesMax);
  REQUIRE(run.arrives(text));
  CHECK(run.host.longest_callback() < 250ms);
}

TEST_CASE("a full outbox pauses the source until there is room") {
  Device device;
  Run run(device, device.config("a.log"));
  run.end->outbox_full = true;
  device.append("a.log", lines(0, 10));
  run.host.advance(20s);
  CHECK(run.end->durable_sent.empty());
  run.end->outbox_full = false;
  run.end->writable();
  REQUIRE(run.arrives(lines(0, 10)));
}

TEST_CASE("the grant's message limit is kept; one too small for a line is said") {
  Device device;
  device.append("a.log", lines(0, 30000));
  Run run(device, device.config("a.log"), false);
  run.end->max_message_bytes = 100'000;
  run.end->open(R"({"max_message_bytes":100000})");
  REQUIRE(run.arrives(lines(0, 30000)));
  Run small(device, device.config("a.log"), false);
  small.end->open(R"({"max_message_bytes":5000})");
  CHECK(small.host.healthy(HWS_DEGRADED));
}

TEST_CASE("lines over the limit arrive whole, in marked pieces") {
  Device device;
  const std::string text = "short\n" + std::string(200'000, 'x') + "\nafter\n";
  device.append("a.log", text);
  Run run(device, device.config("a.log"));
  REQUIRE(run.arrives(text));
  int partial = 0;
  for (const Json& header : device.cloud.headers) partial += header.contains("partial");
  CHECK(partial == 3);
}

TEST_CASE("what the cloud refused is passed over, and the next piece names the gap") {
  Device device;
  device.append("a.log", "one\n");
  Run run(device, device.config("a.log"));
  REQUIRE(run.end->durable_sent.size() == 1);
  run.end->nack(1, "bad_payload", "no");
  run.end->ack(1);
  CHECK(run.host.logged("the cloud refused"));
  device.append("a.log", "two\n");
  REQUIRE(run.host.run_until([&] { return run.end->durable_sent.size() == 2; }));
  const Message second = parse(run.end->durable_sent.at(1).data);
  CHECK(second.header.at("lost") == 4);
  CHECK(second.header.at("offset") == 4);
}

TEST_CASE("a pull is answered honestly: this version cannot do it") {
  Device device;
  Run run(device, device.config("a.log"));
  const auto answer = run.end->durable(R"({"type":"pull","id":"p1","source":"test","since":"","until":""})");
  CHECK(answer.status == HWS_PENDING);  // until the answer is in the spool
  REQUIRE(run.end->durable_sent.size() == 1);
  const Message message = parse(run.end->durable_sent.at(0).data);
  CHECK(message.body.empty());
  CHECK(message.header.at("pull") == "p1");
  CHECK(message.header.at("file_id") == "none");
  CHECK(message.header.at("end") == true);
  CHECK(message.header.at("error").at("code") == "unknown_command");
  for (const char* nonsense : {"", "[]", R"({"type":"erase"})", R"({"type":"pull","id":7})", "\xff"}) {
    CHECK(run.end->durable(nonsense).status == HWS_E_INVALID);
  }
}

TEST_CASE("sources change while it runs: a new one is followed, one that was taken out is not") {
  Device device;
  device.append("a.log", "a\n");
  device.append("b.txt", "b\n");
  Run run(device, device.config("*.log"));
  REQUIRE(run.arrives("a\n"));
  const std::string other =
      Json{{"sources", {{{"name", "other"}, {"paths", {(device.logs / "*.txt").string()}}}}}}.dump();
  REQUIRE(run.host.configure(other, true) == HWS_OK);
  REQUIRE(run.arrives("a\nb\n"));
  device.append("a.log", "not asked for\n");
  run.host.advance(60s);
  run.deliver();
  CHECK(device.cloud.all == "a\nb\n");
}

TEST_CASE("a pipe, a folder and a dangling link under the pattern do no harm") {
  Device device;
  REQUIRE(::mkfifo((device.logs / "pipe.log").c_str(), 0600) == 0);
  fs::create_directories(device.logs / "folder.log");
  fs::create_symlink("/does/not/exist", device.logs / "link.log");
  device.append("real.log", "x\n");
  Run run(device, device.config("*.log"));
  REQUIRE(run.arrives("x\n"));
}

TEST_CASE("stopping waits for the last acknowledgement, but not for ever") {
  Device device;
  device.append("a.log", "x\n");
  Run run(device, device.config("a.log"));
  REQUIRE(run.end->durable_sent.size() == 1);
  SECTION("it comes") {
    run.host.stop(1000);
    CHECK_FALSE(run.host.healthy(HWS_STOPPED));
    run.end->ack(1);
    CHECK(run.host.healthy(HWS_STOPPED));
  }
  SECTION("it does not come") {
    run.host.stop(1000);
    run.host.advance(900ms);
    CHECK(run.host.healthy(HWS_STOPPED));
  }
}

TEST_CASE("killed again and again at any point, every line arrives, and each file_id stays contiguous") {
  Device device;
  std::string written;
  int line = 0;
  for (int round = 0; round < 25; ++round) {
    Run run(device, device.config("syslog*"));
    for (int step = 0; step < 4; ++step) {
      const std::string text = lines(line, line + 7);
      line += 7;
      written += text;
      device.append("syslog", text);
      if ((round + step) % 5 == 0) {
        fs::rename(device.logs / "syslog", device.logs / ("syslog." + std::to_string(line)));
        device.append("syslog", "");
      }
      run.host.advance(150ms);
      if ((round + step) % 3 != 0) run.deliver();
    }
  }
  Run last(device, device.config("syslog*"));
  last.host.advance(60s);
  last.deliver();
  last.host.advance(60s);
  last.deliver();
  std::set<std::string> arrived, wanted;
  std::size_t count = 0;
  for (const auto& [id, content] : device.cloud.files) {
    std::istringstream stream(content);
    for (std::string one; std::getline(stream, one); ++count) arrived.insert(one);
  }
  std::istringstream stream(written);
  for (std::string one; std::getline(stream, one);) wanted.insert(one);
  CHECK(arrived == wanted);
  CHECK(count == wanted.size());  // none twice, once the cloud has put the pieces at their offsets
}

}  // namespace
}  // namespace hawser::log_upload
