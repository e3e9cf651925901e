/* What the sources of the rogue share. */
#ifndef HAWSER_ROGUE_H
#define HAWSER_ROGUE_H

/* Each is caught by the check that has its name, with - for _. */
/* clang-format off */
enum vice {
  none, exports_entry, exports_nothing_else, links_nothing, no_run_path, no_executable_stack, loads, entry, table,
  identity, abi_minor, starts, ready, services, later_host, empty_config, config_words, config_agrees, config_check,
  config_again, stops, stops_at_once, stops_while_waiting, stops_offline, no_thread_left, no_descriptor_left,
  silent_after_destroy, after_a_kill, instances, handover, handover_strange, budget, thread_rule, arguments, figures,
  no_errors, log_rate, log_form, health_form, watches, threads, descriptors, memory, never_connected, denied,
  flapping, revoked, outbox_full, nack, source, empty_messages, largest_messages, garbage, again, settles,
  no_subconnections, no_actions, no_cloud_reached, no_state, no_figures, clock_forward, clock_back, state_full,
  state_not_written
};
/* clang-format on */
#define IS(vice) (VICE == vice)

#endif
