#include "test_device.hpp"

namespace hawser::log_upload {
namespace {

TEST_CASE("a rotated file is read to its end, then the new one, though the writer changes over late") {
  Device device;
  device.append("syslog", lines(0, 10));
  Run run(device, device.config("syslog"));
  REQUIRE(run.arrives(lines(0, 10)));
  std::ofstream writer(device.logs / "syslog", std::ios::app);
  fs::rename(device.logs / "syslog", device.logs / "syslog.1");
  writer << lines(10, 20) << std::flush;  // still into the old file
  REQUIRE(run.arrives(lines(0, 20)));
  device.append("syslog", "");  // made empty, as logrotate does
  run.host.advance(1s);
  writer << lines(20, 30) << std::flush;
  writer.close();
  device.append("syslog", lines(30, 40));
  REQUIRE(run.arrives(lines(0, 40)));
  CHECK(device.cloud.files.size() == 2);
}

TEST_CASE("many rotations in one go keep the order while enough of each file is still there") {
  Device device;
  device.append("syslog", lines(0, 1000));
  Run run(device, device.config("syslog"));
  run.host.settle_down();  // found and sent, not acknowledged
  fs::rename(device.logs / "syslog", device.logs / "syslog.1");
  device.append("syslog", lines(1000, 2000));
  run.host.advance(200ms);
  fs::rename(device.logs / "syslog", device.logs / "syslog.2");
  device.append("syslog", lines(2000, 3000));
  REQUIRE(run.arrives(lines(0, 3000)));
}

TEST_CASE("the end of a rotated file that has no newline arrives, marked partial, and the file is let go") {
  Device device;
  device.append("syslog", "whole\nbroken o");
  Run run(device, device.config("syslog"));
  REQUIRE(run.arrives("whole\n"));
  fs::rename(device.logs / "syslog", device.logs / "syslog.1");
  REQUIRE(run.arrives("whole\nbroken o"));
  CHECK(device.cloud.headers.back().at("partial") == true);
  CHECK(device.cloud.headers.back().at("lines") == 1);
  run.host.advance(1s);
  const Json positions = Json::parse(std::ifstream(device.state / "positions.json"));
  CHECK(positions.at("files").empty());
}

TEST_CASE("a file that is renamed within the pattern is the same file") {
  Device device;
  device.append("a.log", lines(0, 5));
  Run run(device, device.config("*.log"));
  REQUIRE(run.arrives(lines(0, 5)));
  fs::rename(device.logs / "a.log", device.logs / "b.log");
  run.host.advance(30s);
  device.append("b.log", lines(5, 6));
  REQUIRE(run.arrives(lines(0, 6)));
  CHECK(device.cloud.files.size() == 1);
}

TEST_CASE("a truncated file is another file for the cloud, from offset 0") {
  Device device;
  device.append("a.log", lines(0, 100));
  Run run(device, device.config("a.log"));
  REQUIRE(run.arrives(lines(0, 100)));
  fs::resize_file(device.logs / "a.log", 0);
  device.append("a.log", "new\n");
  REQUIRE(run.arrives(lines(0, 100) + "new\n"));
  CHECK(device.cloud.files.size() == 2);
  CHECK(device.cloud.headers.back().at("offset") == 0);
}

TEST_CASE("a file that was truncated and has grown past its old size unseen loses no line") {
  Device device;
  device.append("a.log", "old\n");
  Run run(device, device.config("a.log"));
  REQUIRE(run.arrives("old\n"));
  std::ofstream(device.logs / "a.log", std::ios::trunc) << "new one\nand more\n";
  REQUIRE(run.arrives("old\nnew one\nand more\n"));
  CHECK(device.cloud.files.size() == 2);
}

TEST_CASE("a file that was cut under a writer that does not append goes on where the writer does") {
  Device device;
  device.append("a.log", "first\n");
  Run run(device, device.config("a.log"));
  REQUIRE(run.arrives("first\n"));
  std::ofstream file(device.logs / "a.log", std::ios::in | std::ios::out);
  fs::resize_file(device.logs / "a.log", 0);
  file.seekp(6);
  file << "second\n" << std::flush;
  REQUIRE(run.arrives("first\nsecond\n"));
  CHECK(device.cloud.files.size() == 1);
}

TEST_CASE("an acknowledgement of what was before a truncation does not move the new position") {
  Device device;
  device.append("a.log", lines(0, 100));
  Run run(device, device.config("a.log"));
  REQUIRE(run.end->durable_sent.size() == 1);
  fs::resize_file(device.logs / "a.log", 0);
  device.append("a.log", "new\n");
  run.host.advance(1s);
  run.end->ack(1);
  const Json positions = Json::parse(std::ifstream(device.state / "positions.json"));
  CHECK(positions.at("files").at(0).at("acked") == 0);
}

TEST_CASE("files that appear and vanish, and folders that appear, are found") {
  Device device;
  Run run(device, device.config("*/app.log"));
  run.host.advance(1s);
  fs::create_directories(device.logs / "one");
  device.append("one/app.log", "from one\n");
  REQUIRE(run.arrives("from one\n"));
  device.append("one/app.log", "more\n");
  run.host.advance(1s);
  fs::remove(device.logs / "one/app.log");
  REQUIRE(run.arrives("from one\nmore\n"));
  run.host.advance(60s);
  const Json positions = Json::parse(std::ifstream(device.state / "positions.json"));
  CHECK(positions.at("files").empty());
  device.append("one/app.log", "again\n");
  REQUIRE(run.arrives("from one\nmore\nagain\n"));
}

TEST_CASE("a file that was rotated while the plugin was away is finished first, and forgotten then") {
  Device device;
  device.append("syslog", lines(0, 10));
  {
    Run run(device, device.config("syslog"));
    REQUIRE(run.arrives(lines(0, 10)));
  }
  device.append("syslog", lines(10, 20));
  fs::rename(device.logs / "syslog", device.logs / "syslog.1");
  device.append("syslog", lines(20, 30));
  {
    Run run(device, device.config("syslog"));
    REQUIRE(run.arrives(lines(0, 30)));
    CHECK(device.cloud.files.size() == 2);
  }
  {
    Run run(device, device.config("syslog"));  // killed again, while the old one is still waiting for quiet
    run.host.advance(60s);
    CHECK(run.end->durable_sent.empty());
    CHECK(Json::parse(std::ifstream(device.state / "positions.json")).at("files").size() == 1);
  }
}

TEST_CASE("after a restart a file with the inode of another one is read from its beginning") {
  Device device;
  device.append("a.log", "the old content\n");
  {
    Run run(device, device.config("a.log"));
    REQUIRE(run.arrives("the old content\n"));
  }
  // The same inode with other content stands for an inode that was given to a new file.
  std::ofstream(device.logs / "a.log", std::ios::trunc) << "something different and longer\n";
  Run run(device, device.config("a.log"));
  REQUIRE(run.arrives("the old content\nsomething different and longer\n"));
  CHECK(device.cloud.files.size() == 2);
}

}  // namespace
}  // namespace hawser::log_upload
