//! The list of all rules, as tests.

/// Makes a test of each rule, for the stores of one harness.
///
/// The argument is an expression that makes the harness; it is evaluated for each test.
#[macro_export]
macro_rules! conformance {
    ($harness:expr) => {
        $crate::conformance!(@rules $harness;
            auditing {
                deeds_are_read_the_newest_first,
                deeds_are_found_page_by_page_by_author_and_object,
                a_deed_that_is_written_again_is_there_once,
                the_last_deeds_are_kept,
            }
            batches {
                what_is_dispatched_together_is_settled_each_as_it_is,
                what_is_handed_in_together_is_settled_each_as_it_is,
            }
            binding {
                a_run_keeps_the_definition_that_it_was_begun_with,
                a_run_that_was_begun_outlives_its_job,
                a_run_that_waits_ends_with_its_job,
                a_run_of_a_removed_job_takes_no_place_of_its_successor,
                a_run_that_was_asked_for_and_is_in_flight_is_not_made_again,
                a_run_with_a_definition_of_its_own_keeps_it,
            }
            beginning {
                a_begun_run_is_marked_in_its_claim,
                only_who_holds_a_claim_begins_it,
                only_what_was_begun_is_lost_with_its_node,
            }
            cancelling {
                a_run_that_waits_in_a_queue_ends_when_it_would_be_claimed,
                a_run_that_waits_for_its_next_attempt_ends_at_once,
                a_node_hears_with_each_heartbeat_until_the_run_has_ended,
                what_was_done_before_its_node_heard_counts,
                a_cancelled_run_is_not_tried_again,
                a_cancelled_run_is_not_recovered,
                a_run_that_was_promoted_meanwhile_is_met_by_its_mark,
                the_first_reason_stays,
                runs_that_never_were_cannot_be_cancelled,
            }
            changes {
                a_pause_takes_the_job_out_of_the_due_queue,
                a_resumed_job_records_what_passed,
                a_pause_keeps_who_and_why_and_tells_history,
                a_pause_with_an_end_is_shown_when_that_has_come,
                a_pause_that_was_changed_ends_as_it_says_now,
                a_schedule_that_was_over_when_paused_is_over_when_resumed,
                a_pause_does_not_begin_with_what_was_settled_meanwhile,
                a_change_that_comes_after_the_fire_is_a_conflict,
                a_change_cannot_drop_what_became_due_meanwhile,
                a_removal_cannot_drop_what_became_due_after_what_it_records,
                what_is_due_runs_with_the_changed_definition,
            }
            claims {
                a_claim_binds_the_run_to_the_jobs_definition,
                a_run_is_claimed_by_one_node,
                queues_are_served_in_the_order_asked_for,
                an_ended_run_frees_its_place_and_leaves_a_record,
                runs_are_handed_in_and_claimed_in_one_step,
                a_claim_that_is_not_held_settles_nothing,
                a_session_that_is_over_exchanges_nothing,
            }
            dispatch {
                what_comes_to_be_due_is_planned_ahead_and_dispatched_no_earlier,
                a_look_shows_what_is_due_and_what_comes_next,
                the_due_time_moves_and_the_run_appears_in_one_step,
                several_runs_of_one_plan_wait_in_their_order,
                runs_wait_in_the_queue_of_their_job,
                skips_are_recorded_in_the_same_step,
                a_plan_that_settles_nothing_only_moves_on,
                a_limit_that_was_lowered_does_not_block_the_schedule,
            }
            ends {
                a_job_goes_when_its_last_run_has_ended,
                a_schedule_that_ends_in_a_skip_is_over_at_once,
                a_job_that_is_kept_stays_when_its_schedule_is_over,
                a_job_that_was_put_again_meanwhile_stays,
                a_finished_job_that_runs_once_more_stays_until_then,
                a_job_whose_schedule_goes_on_is_never_retired,
                a_due_job_that_nobody_can_plan_is_set_aside,
                a_job_whose_pause_has_ended_and_that_nobody_can_read_is_set_aside,
                a_parked_job_comes_back_with_a_change,
            }
            failing {
                a_run_that_has_failed_is_kept_with_its_job,
                what_has_not_failed_is_not_kept,
                failed_runs_are_shown_in_pages_the_newest_first,
                a_failed_run_is_run_again_as_another,
                what_is_run_again_outlives_its_job,
                no_more_runs_are_run_again_than_the_job_allows,
                purged_runs_are_forgotten,
                tidying_forgets_failed_runs_by_count_and_age,
            }
            following {
                a_run_that_ends_starts_those_that_follow_it,
                what_was_followed_is_never_followed_again,
                a_deposed_leader_follows_nothing,
                only_what_ends_later_is_followed,
                a_plan_for_another_version_follows_nothing,
                runs_that_are_lost_or_cancelled_are_followed_too,
                a_follower_without_room_lines_up_or_is_recorded,
                paused_and_late_followers_are_recorded_as_skipped,
                many_followers_are_started_bit_by_bit_and_each_once,
                jobs_cannot_follow_one_another_in_a_circle,
                a_job_that_follows_stays_without_a_schedule,
            }
            history {
                the_newest_records_come_first,
                readers_go_on_from_where_they_were,
                readers_go_on_from_each_record,
                readers_of_one_job_go_on_past_all_others,
                the_newest_position_is_known_from_the_newest_page,
                older_records_are_found_page_by_page,
                records_are_found_by_what_became_of_it,
                runs_in_flight_are_told_with_their_holders,
                tidying_forgets_the_oldest,
                tidying_forgets_what_is_too_old,
                what_was_settled_is_forgotten_long_after_the_job,
            }
            keeping {
                a_job_keeps_more_of_its_history_than_is_kept_of_all,
                a_job_shows_no_more_of_its_history_than_it_keeps,
                a_job_keeps_its_history_for_as_long_as_it_says,
                a_changed_policy_counts_for_what_is_kept,
                what_was_kept_of_a_removed_job_grows_old,
                much_of_a_jobs_history_is_kept_bit_by_bit,
            }
            jobs {
                a_job_reads_back_as_it_was_put,
                a_change_of_what_was_read_differently_is_a_conflict,
                each_change_of_a_request_is_judged_on_its_own,
                changes_that_are_put_all_or_none_are_one_step,
                versions_are_never_given_twice,
                a_removed_job_leaves_only_what_was_settled,
                a_job_that_is_put_again_does_not_repeat_what_was_settled,
                a_removal_of_what_was_read_differently_is_a_conflict,
                a_removal_records_what_was_due,
                pages_show_each_job_once,
                a_run_that_is_asked_for_waits_at_once,
                a_run_is_not_made_of_a_job_that_is_full,
                a_run_is_not_made_of_what_was_read_differently,
                a_paused_job_runs_when_it_is_asked_to,
                an_interval_goes_on_from_its_due_time,
            }
            lease {
                a_free_lease_is_taken_by_one,
                whoever_holds_the_lease_gets_the_same_token_again,
                a_session_that_is_over_gets_no_lease,
                an_expired_lease_passes_on_under_a_higher_epoch,
                a_look_at_what_is_due_renews_the_lease,
                an_expired_lease_cannot_be_renewed,
                a_lease_that_was_given_back_is_free_at_once,
                a_token_counts_as_a_whole,
                each_step_of_the_leader_shows_progress,
                numbers_rise_above_all_that_callers_have_seen,
                standbys_rank_in_the_order_of_their_registration,
                a_standby_sees_the_lease_and_what_is_due,
            }
            lines {
                runs_that_are_lined_up_are_told_with_their_place,
                runs_that_find_their_job_full_go_one_by_one_in_order,
                the_leader_is_woken_when_a_line_may_go_on,
                a_line_has_an_end,
                a_job_that_is_removed_takes_its_line_with_it,
                a_line_goes_on_as_the_job_is_by_then,
                admitting_again_lets_nobody_else_go,
                an_admission_for_another_version_lets_nobody_go,
                nobody_is_let_go_for_a_job_that_cannot_be_read,
                who_lost_the_lease_admits_nobody,
                what_is_tried_again_makes_no_room,
                a_dead_nodes_run_makes_room_when_it_ends,
                a_job_whose_schedule_is_over_stays_until_its_line_has_gone,
            }
            listening {
                all_who_listen_hear_what_is_told_in_order,
                a_listener_hears_each_record_as_it_is_written,
                who_stops_listening_is_counted_no_more,
            }
            lost_replies {
                of_a_node_that_comes_and_goes,
                of_who_takes_and_gives_back_the_lease,
                of_a_look_at_what_is_due,
                of_a_dispatch,
                of_a_promotion,
                of_a_retirement,
                of_claims,
                of_settlements_that_claim_besides,
                of_claims_that_the_node_asks_about,
                of_a_claim_that_never_arrived_before_the_question,
                lanes_of_a_session_count_for_themselves,
                of_a_sweep,
                of_those_who_change_jobs,
                of_conflicts,
                of_who_asks_for_a_run,
                of_who_cancels_runs,
                of_what_begins_at_most_once,
                of_who_runs_failed_runs_again,
            }
            noting {
                what_is_told_of_attempts_is_kept_with_their_runs,
                what_was_overtaken_changes_no_notes,
                of_many_attempts_the_last_are_kept,
                a_dead_node_notes_nothing_more,
            }
            priorities {
                high_ones_are_claimed_first_and_each_in_its_order,
                runs_are_taken_as_the_wish_says,
                what_goes_back_waits_with_its_priority,
                what_a_dead_node_held_waits_with_its_priority,
                the_priority_is_that_of_the_definition_that_made_the_run,
                whoever_leaves_runs_of_any_priority_behind_wakes_the_next,
            }
            queues {
                no_more_runs_are_claimed_than_a_queue_has_places,
                a_limit_of_one_queue_is_none_of_another,
                a_place_counts_until_the_claim_is_gone,
                lost_answers_count_no_place_twice,
                a_limit_below_what_is_executed_takes_nothing_away,
                a_rate_is_kept_over_time,
                runs_that_end_at_their_claim_take_no_place,
                nothing_is_claimed_of_a_paused_queue,
                a_paused_namespace_records_fire_times_and_claims_nothing,
                nobody_is_woken_for_what_cannot_be_claimed,
                a_configuration_gives_way_to_an_operator,
                steering_again_under_the_same_request_does_nothing,
            }
            recalling {
                a_key_is_taken_once_and_keeps_its_answer,
                a_key_that_came_to_nothing_is_free_again,
                keys_are_forgotten_with_requests,
            }
            refusals {
                a_plan_that_is_too_old_is_refused,
                a_plan_for_another_version_is_refused,
                a_leader_that_has_long_known_all_versions_is_refused_once_one_changed,
                of_jobs_that_are_due_at_once_each_is_compared,
                a_job_that_was_removed_and_put_again_is_another,
                a_plan_for_another_due_time_is_refused,
                a_settled_fire_time_never_runs_again,
                the_due_time_only_moves_past_what_is_settled,
                a_refused_item_does_not_hold_up_the_others,
                no_more_runs_are_made_than_the_job_allows,
                a_clock_that_steps_back_fires_nothing_twice,
            }
            retries {
                a_run_that_is_tried_again_waits_for_its_time,
                a_deferred_run_is_bound_anew_when_it_was_never_begun,
                a_run_that_was_put_off_keeps_its_definition,
                only_what_waits_exactly_so_is_promoted,
                a_run_that_is_tried_again_without_delay_is_there_at_the_next_beat,
                a_run_that_is_given_back_is_the_next_to_be_claimed,
            }
            sessions {
                a_node_that_registered_is_seen,
                registering_again_leaves_the_session_as_it_is,
                a_heartbeat_shows_life_and_keeps_all_claims,
                a_heartbeat_that_was_overtaken_changes_nothing,
                a_heartbeat_never_begins_a_session,
                no_clock_ends_a_session,
                a_node_that_leaves_without_claims_is_forgotten,
                a_session_that_showed_life_is_not_fenced,
                a_fenced_session_without_claims_is_forgotten,
                a_fenced_session_can_do_nothing_and_never_comes_back,
                a_session_of_another_generation_does_nothing_until_it_reconciles,
            }
            sweeping {
                lost_runs_are_executed_again_by_another_node,
                runs_that_must_not_be_repeated_end_as_lost,
                a_run_that_kills_its_nodes_is_given_up,
                only_claims_that_are_as_they_were_read_are_settled,
                a_dead_session_is_drained_in_parts_by_any_sweeper,
                a_live_session_is_not_drained,
                what_a_leaving_node_still_holds_is_swept,
            }
            takeover {
                a_leader_that_stands_still_while_something_is_due_is_deposed,
                a_deposed_leader_can_do_nothing,
                a_deposed_leader_comes_last_of_all_standbys,
                nobody_is_deposed_who_made_progress_since,
                nobody_is_deposed_for_another,
                nobody_is_deposed_while_nothing_is_due,
                each_steal_protects_the_next_leader_for_longer,
                no_leader_is_protected_for_longer_than_a_lease,
                a_clock_that_went_back_protects_nobody,
            }
            uniques {
                a_key_is_one_live_jobs,
                a_key_without_a_time_is_held_until_the_run_has_ended,
                a_key_with_a_time_is_held_for_so_long,
                a_removed_job_frees_its_key,
                a_changed_job_keeps_the_key_that_it_has,
                a_job_that_is_put_with_another_key_gives_up_its_own,
                a_job_that_is_kept_frees_its_key_when_its_run_has_ended,
                a_job_takes_the_place_of_the_one_that_holds_its_key,
                nobody_takes_the_place_of_one_that_is_not_as_it_was_seen,
                who_is_refused_a_place_removes_nobody,
                who_had_a_key_once_takes_it_with_the_place_of_its_holder,
            }
            waiting {
                a_run_wakes_a_node_that_serves_its_queue,
                a_run_that_is_asked_for_wakes_a_node,
                runs_that_wait_already_keep_nobody_waiting,
                a_lost_wake_up_comes_again_with_the_leaders_beat,
                whoever_leaves_runs_behind_wakes_the_next,
                a_job_that_is_put_wakes_the_leader,
                a_lease_that_is_given_back_wakes_a_standby,
                a_wait_that_was_given_up_costs_the_next_nothing,
                the_run_that_waits_longest_is_told,
            }
            week {
                a_week_down_is_settled_as_the_policies_say,
            }
        );
    };
    (@rules $harness:expr; $($subject:ident { $($rule:ident),* $(,)? })*) => {
        $(mod $subject {
            use super::*;

            $(#[tokio::test]
            async fn $rule() {
                let world = $crate::conformance::World::fresh(&$harness).await;
                $crate::conformance::rules::$subject::$rule(world).await;
            })*
        })*
    };
}
