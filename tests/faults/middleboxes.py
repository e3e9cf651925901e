"""Real proxies in the lab: nginx and haproxy before the cloud, tinyproxy as the way out."""

import time
from pathlib import Path


def nginx(lab, servers, place="cloud"):
    """An nginx in the foreground with these server blocks."""
    folder = lab.folder / "nginx"
    (folder / "logs").mkdir(parents=True, exist_ok=True)
    config = folder / "nginx.conf"
    config.write_text(f"""daemon off; master_process off; worker_processes 1; pid {folder}/pid; error_log stderr notice;
events {{ worker_connections 256; }}
http {{
  access_log {folder}/logs/access.log;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
{servers}
}}
""")
    program = lab.start("nginx", ["nginx", "-e", "stderr", "-p", folder, "-c", config], place=place)
    program.wait_line("using the|start worker|notice")
    return program


def haproxy(lab, text, place="cloud"):
    config = lab.folder / "haproxy.cfg"
    config.write_text("global\n  maxconn 200\n" + text)
    program = lab.start("haproxy", ["haproxy", "-db", "-f", config], place=place)
    time.sleep(0.3)
    return program


def tinyproxy(lab, address, port, *lines, place="cloud"):
    config = lab.folder / "tinyproxy.conf"
    config.write_text("\n".join([f"Port {port}", f"Listen {address}", "Timeout 600", "MaxClients 50", "LogLevel Info",
                                 f"PidFile \"{lab.folder}/tinyproxy.pid\"", *lines]) + "\n")
    program = lab.start("tinyproxy", ["tinyproxy", "-d", "-c", config], place=place)
    program.wait_line("Initializing|Accepting")
    return program


def access_log(lab):
    return Path(lab.folder / "nginx" / "logs" / "access.log").read_text()
