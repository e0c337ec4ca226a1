"""Bad inputs and faults, what a user gets, and the tests that hold it: one table.

A line has its number and what happens. Below it are its tests, by their file below tests/ and
their function.
"""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).parent

TABLE = """
Text
1. an empty file is exit 3 with its name, and leaves no run folder
    cli/test_texts::test_a_bad_file_is_one_line_and_exit_3
2. white space alone, a missing file, a folder without text, no permission: exit 3 with the path
    cli/test_texts::test_a_bad_file_is_one_line_and_exit_3
    cli/test_texts::test_missing_file_and_folder_without_text
    counts/test_input_files::test_what_cannot_be_read_is_named
3. one token, or one word in all: exit 3, never NaN
    cli/test_texts::test_a_bad_file_is_one_line_and_exit_3
4. all words below min-count: exit 3 with the largest count and a min-count that keeps some
    cli/test_texts::test_a_bad_file_is_one_line_and_exit_3
5. line ends of any kind, none at the end, a byte order mark: the same counts
    cli/test_texts::test_stdin_and_line_ends_and_byte_order_marks_do_not_matter
6. UTF-16 is named with the flag, a wrong byte with its offset; replaced bytes are counted
    cli/test_texts::test_a_bad_file_is_one_line_and_exit_3
    cli/test_texts::test_replaced_bytes_are_counted
    counts/test_recognition::test_wide_characters_without_a_mark_are_named_and_read_as_advised
7. a character across two reads is read right
    counts/test_text::test_characters_across_a_read_buffer
8. no buffer grows with a line; a sentence of 30,000 tokens is counted whole
    counts/test_text::test_a_long_line_is_counted_whole_and_alike_however_it_is_read
    counts/test_text::test_a_long_line_comes_in_short_parts
9. ten million distinct tokens: the memory is forecast and refused, with the flag
    cli/test_forecast::test_what_cannot_fit_is_refused_before_pairs_are_counted
    cli/test_forecast::test_large_text_gets_a_rough_forecast_before_it_is_read
10. tokens such as </s>, nan, null and 1e5 stay text in every format
    cli/test_texts::test_words_that_look_like_something_else_stay_strings
    pages/test_report::test_hostile_words_and_names_are_text_in_the_report
11. a count of 10⁹ for one pair is exact
    counts/test_counting::test_a_billion_of_one_pair_is_exact
12. stdin is read; a terminal on stdin is a hint, and nothing hangs
    cli/test_texts::test_stdin_and_line_ends_and_byte_order_marks_do_not_matter
    cli/test_terminal::test_a_terminal_on_stdin_is_a_hint_and_no_hanging
13. a compressed file that is cut off or damaged is exit 3; all members are read; names do not
  matter
    cli/test_texts::test_a_bad_file_is_one_line_and_exit_3
    counts/test_text::test_compressed_files_are_told_by_their_bytes
    storage/test_zstd::test_a_file_cut_anywhere_is_an_error_or_the_frames_before
14. tables: a bad row, a missing column or key is named with its line
    counts/test_long_form::test_errors_say_where
    counts/test_features::test_bad_files_are_named_with_their_line
15. Python: a str for a list of them, and a generator that raises, are named with the sentence
    test_estimator::test_python_strings_for_lists_and_generators_that_raise
    counts/test_sentences::test_the_error_of_a_generator_says_behind_which_sentence_once
Baskets, edges, counts
16. a basket of one item has no pair; an item counts once in a basket; their order does not
  matter
    counts/test_baskets::test_a_basket_is_a_set_and_items_are_in_order_of_rows_that_hold_them
    counts/test_baskets::test_neither_order_nor_container_changes_a_thing
    counts/test_baskets::test_no_pairs_is_an_error_of_the_pairs_alone
17. edges: loops, doubles and both directions by the documented rule; bad weights with their
  line
    counts/test_edges::test_doubled_edges_add_up_loops_are_dropped_and_names_stay_text
    counts/test_edges::test_directed_edges_are_a_table_of_sources_and_targets
    counts/test_edges::test_bad_lines_are_named
    counts/test_edges::test_bad_edges_are_named
18. a row without counts has the vector of its features, or none, and never zeros
    vectors/test_fold_in::test_a_row_with_features_and_no_counts_is_its_mean_and_one_with_neither_has_none
    counts/test_edges::test_isolated_nodes_and_components_are_said
19. the names "1", "01" and "1.0" are three
    counts/test_baskets::test_ids_stay_text
    counts/test_long_form::test_names_stay_text
20. a matrix that is negative or not finite is refused, doubles are summed, an empty row weighs
  0
    counts/test_matrices::test_what_is_no_matrix_of_counts_is_refused
    counts/test_matrices::test_entries_that_stand_twice_are_summed_and_the_matrix_is_left_alone
    train/test_rectangular::test_rows_without_counts_and_vectors_longer_than_the_smaller_side
Numbers
21. a loss that runs away stops with the last good vectors and exit 6
    train/test_fit::test_a_wild_rate_stops
    cli/test_train::test_a_wild_rate_keeps_the_last_good_vectors
22. vectors of one number, or of more than there are words, work; 0, -5 and ten are exit 2
    cli/test_train::test_no_epochs_writes_the_start_and_more_dimensions_than_words_work
    cli/test_faults::test_an_option_out_of_its_range_is_exit_2
23. no epochs: the spectral start is written
    cli/test_train::test_no_epochs_writes_the_start_and_more_dimensions_than_words_work
24. one to seven words, tiles that do not divide them: the dense formula
    loss/test_engines::test_given_scores_lose_what_the_formula_says
    loss/test_engines::test_linear_scores_lose_what_the_formula_says
    train/test_fit::test_one_word_can_be_fitted
25. the same bytes whatever the hash seed, locale, time zone and threads
    test_same_bytes::test_the_same_text_gives_the_same_bytes
26. extreme scores have exact losses and finite gradients
    loss/test_accuracy::test_extreme_scores
    loss/test_engines::test_impossible_words_cost_nothing_where_they_do_not_count
Faults while running
27. killed at any instant, a run is resumed to the same bytes
    cli/test_resume::test_a_run_killed_at_some_file_operations_ends_with_the_same_bytes
    cli/test_resume::test_a_run_killed_at_any_file_operation_ends_with_the_same_bytes
    cli/test_resume::test_kills_at_random_instants_cost_nothing
    storage/test_unfinished::test_a_new_training_is_resumed_wherever_it_was_killed
28. a first signal ends the step, writes a checkpoint, and is exit 130 with the line to resume
    cli/test_resume::test_an_interrupted_training_ends_with_the_same_bytes
    cli/test_resume::test_a_signal_ends_a_training_behind_its_step
29. a disk that is full at any write is exit 5, and what was there still loads
    storage/test_whole_writes::test_a_file_is_whole_or_as_it_was_wherever_its_writing_stops
    storage/test_whole_writes::test_a_run_stays_where_its_replacement_fails
    cli/test_resume::test_failing_file_operations_cost_no_run
    cli/test_resume::test_any_failing_file_operation_costs_no_run
30. a second process on a run folder is refused
    storage/test_whole_writes::test_a_folder_that_another_command_holds_is_refused
    storage/test_unfinished::test_a_second_writer_is_refused_at_once
31. a closed stdout, no terminal: no traceback and no control codes
    cli/test_terminal::test_a_pipe_closed_in_the_middle
    cli/test_terminal::test_a_bar_on_a_terminal_and_no_control_codes_elsewhere
32. a limit of memory below the forecast is refused before the work
    cli/test_forecast::test_what_cannot_fit_is_refused_before_pairs_are_counted
    cli/test_forecast::test_stored_counts_are_refused_too_with_flags_of_theirs
    test_machine::test_limits_of_the_process_count
Files we load
33. a file of a run that is cut, longer, flipped or another run's is exit 4 with its name
    cli/test_run_folders::test_a_damaged_file_is_exit_4_and_named
    vectors/test_unseen::test_a_flipped_bit_is_noticed
34. names and matrices of different length, and unknown kinds, are exit 4
    storage/test_schema::test_vectors_are_as_many_as_their_names
    storage/test_schema::test_an_unknown_kind_of_data_is_named
35. pickles are refused, and nothing in them runs
    counts/test_features::test_a_pickle_in_an_npz_is_not_opened
    counts/test_recognition::test_what_is_no_text_is_named
36. word2vec text with a wrong header, short rows or doubled names is refused with the line
    vectors/test_formats::test_files_of_other_tools_that_are_wrong_are_refused_with_the_line
    vectors/test_formats::test_headers_and_line_ends_may_be_missing
    test_broken_files::test_a_damaged_file_is_an_error_or_a_right_answer
37. a word that word2vec files cannot hold is refused; others come back as they were
    vectors/test_formats::test_words_that_word2vec_files_cannot_hold_are_refused
    test_broken_files::test_a_damaged_file_is_an_error_or_a_right_answer
38. a name that no run can have is refused, and so is an existing output without --force
    cli/test_run_folders::test_a_name_that_no_folder_can_have_is_exit_2
    cli/test_run_folders::test_an_existing_output_is_refused_and_what_is_not_a_run_never_replaced
Pages and server
39. words that are markup or script are text in report and explorer
    pages/test_report::test_hostile_words_and_names_are_text_in_the_report
    pages/test_explorer::test_hostile_words_are_text_in_the_explorer
40. terminal escapes and [bold] in words are printed escaped
    cli/test_texts::test_words_that_look_like_something_else_stay_strings
    test_display::test_notebooks_show_tables_in_which_words_are_text
41. exported tables quote words that a spreadsheet would run
    cli/test_recommend::test_no_name_is_a_formula_where_a_spreadsheet_opens_the_file
42. the server answers its own Host, page and GET alone, on loopback
    pages/test_serve::test_another_host_or_none_is_forbidden
    pages/test_serve::test_no_other_path_exists
    pages/test_serve::test_only_get
    pages/test_serve::test_it_binds_loopback_alone_and_takes_the_next_free_port
    pages/test_hostile_requests::test_each_request_has_its_answer
43. the report works from a file, without a request to a network
    pages/test_report::test_hostile_words_and_names_are_text_in_the_report
    pages/test_pages::test_the_policy_runs_nothing_that_was_not_written
44. a port in use gives way to the next; Ctrl-C frees it
    pages/test_serve::test_it_binds_loopback_alone_and_takes_the_next_free_port
    pages/test_serve::test_no_free_port_is_an_error_that_says_what_to_do
    pages/test_serve::test_the_command_serves_until_ctrl_c_and_frees_the_port
45. an unknown word is composed and said to be, or refused with the nearest spellings
    cli/test_unseen_words::test_neighbors_says_how_a_word_is_known
    cli/test_neighbors::test_unknown_words_are_named_with_their_neighbours_in_spelling
    cli/test_neighbors::test_words_that_cancel_out_and_more_words_than_there_are
The loss
46. any integer is an index; class numbers in floats are named with the cure
    loss/test_validation::test_every_integer_is_an_index
    loss/test_validation::test_misuse_is_an_error_with_its_cure
47. a target out of range is named with row, value, range and share
    loss/test_validation::test_misuse_is_an_error_with_its_cure
48. scores given to nll_loss are warned of once
    loss/test_validation::test_what_looks_like_a_mistake_is_warned_of
49. probabilities given to cross_entropy are warned of once
    loss/test_validation::test_what_looks_like_a_mistake_is_warned_of
50. backward without a gradient is torch's own error; the lecture shows the cure
    docs/test_lecture::test_the_lectures_numbers_are_printed_again_to_the_last_digit
51. classes in the last dimension are named with the cure
    loss/test_validation::test_class_last
52. nothing kept, nothing there: the documented value
    loss/test_accuracy::test_nothing_to_count
    loss/test_parity::test_nothing_kept_has_torchs_value_and_gradient
Found since
53. --force with a training that fails, diverges or is interrupted: the finished run stays
    storage/test_whole_writes::test_a_run_stays_where_its_replacement_fails
    cli/test_resume::test_force_replaces_a_run_by_a_finished_one_alone
    storage/test_unfinished::test_a_run_stays_until_the_new_one_has_ended
54. stopped while runs are exchanged: one of them is at its name
    storage/test_whole_writes::test_a_run_is_the_old_or_the_new_one_wherever_its_replacement_stops
    cli/test_talk::test_leftovers_are_named_by_the_next_command_and_cleaned
55. two trainings to one new folder: the second is refused at once
    storage/test_whole_writes::test_a_folder_that_another_command_holds_is_refused
    storage/test_unfinished::test_a_second_writer_is_refused_at_once
56. stderr closed or full: training goes on, exit 0 only where the run is written
    cli/test_talk::test_a_run_is_written_where_nobody_hears
    cli/test_talk::test_talk_that_failed_once_is_not_tried_again
57. a disk that is full in the last second: the vectors are kept and their place is said
    cli/test_resume::test_a_disk_that_is_full_at_the_end_costs_no_vectors
    storage/test_unfinished::test_a_strangers_file_keeps_the_old_run_and_the_new_lies_beside
    storage/test_unfinished::test_what_fails_beside_a_finished_run_costs_nothing
58. SIGTERM and SIGHUP are as Ctrl-C
    cli/test_resume::test_a_signal_ends_a_training_behind_its_step
    cli/test_resume::test_a_signal_that_is_ignored_stays_ignored
59. unreadable, changing, doubled, linked and hidden files are named
    counts/test_input_files::test_what_is_left_out_of_a_folder_is_named
    counts/test_input_files::test_what_cannot_be_read_is_named
    counts/test_input_files::test_a_file_that_changes_while_it_is_read_is_named
    counts/test_input_files::test_the_same_file_is_read_once
    counts/test_input_files::test_train_says_at_the_end_what_was_left_out_even_when_it_is_quiet
60. archives, office files, tables and pickles are named; markup is said, with the way out
    counts/test_recognition::test_what_is_no_text_is_named
    counts/test_recognition::test_markup_is_said_and_read
    counts/test_recognition::test_text_is_not_taken_for_markup
    counts/test_recognition::test_text_that_begins_like_something_else_is_text
61. zstd: repeated bytes, skipped frames and long windows in bounded memory and linear time
    storage/test_zstd::test_repeated_bytes_take_bounded_memory_and_linear_time
    storage/test_zstd::test_every_frame_is_read
62. three million distinct tokens are refused before the work, under a limit too
    cli/test_forecast::test_what_cannot_fit_is_refused_before_pairs_are_counted
    cli/test_forecast::test_the_max_vocab_that_is_named_fits
    test_machine::test_a_container_of_version_2_says_less
    test_machine::test_a_container_of_version_1_and_one_that_is_mounted_at_the_top
63. modes are those of the umask or of the file before; planted links are not followed
    storage/test_whole_writes::test_permissions_are_those_of_the_umask_or_of_what_is_replaced
    storage/test_whole_writes::test_what_lies_at_a_temporary_name_is_not_written_through
    storage/test_whole_writes::test_a_link_stays_one_and_what_it_leads_to_is_written
64. a run whose digests are right and whose content is not: exit 4 at once
    storage/test_opened_runs::test_what_is_no_file_is_not_read
    test_broken_files::test_a_damaged_file_is_an_error_or_a_right_answer
65. a run that is replaced while it is read: one of the two, never a mixture
    storage/test_opened_runs::test_an_evaluation_is_of_one_run_where_another_takes_its_place
66. a cache of compiled loops that cannot be used is ignored
    test_jit::test_where_no_folder_for_compiled_loops_can_be_written_they_are_compiled_for_the_run
    test_jit::test_a_damaged_or_unwritable_cache_is_ignored_with_one_line
67. idle connections do not keep others out, and end by themselves
    pages/test_hostile_requests::test_idle_clients_neither_stop_others_nor_stay
    pages/test_hostile_requests::test_a_client_that_sends_a_letter_now_and_then_is_cut_off
68. files of evaluation are read as the run's text was, or refused with the line
    vectors/test_spelling::test_files_of_evaluation_are_spelled_as_the_run_is
    counts/test_input_files::test_small_files_of_words_are_read_by_their_mark
    counts/test_input_files::test_a_byte_that_is_not_text_is_named_with_its_line
69. what is no sentence is a TypeError with the call that was meant
    counts/test_sentences::test_what_is_no_sentence_is_named_with_its_number_once
    counts/test_sentences::test_what_holds_no_sentences_is_named
70. joiners, soft hyphens and inner points end no word
    counts/test_words::test_format_characters_and_inner_points_end_no_word
    counts/test_words::test_other_signs_do
71. an unknown word costs microseconds; spellings are searched when they are read
    vectors/test_spelling::test_an_unknown_word_among_many_costs_little
    vectors/test_spelling::test_nearest_spellings_are_looked_for_when_the_message_is_read
72. losses and fit under every mode of torch, in threads and forks
    loss/test_parity::test_modes_and_defaults_of_torch_change_no_number
    loss/test_parity::test_inference_mode_leaves_nothing_for_training
    loss/test_threads_and_exit::test_training_follows_a_first_loss_in_inference_mode
    loss/test_threads_and_exit::test_the_interpreter_ends_in_peace
73. sparse counts that lie outside or are none are errors with row and column
    loss/test_validation::test_counts_that_lie_outside_or_are_none
    loss/test_validation::test_counts_in_any_order_and_number_format
74. classes of a tile far below the best have torch's gradient
    loss/test_compiled_scores::test_far_terms
75. a row without a finite maximum is nan, in its gradient too
    loss/test_engines::test_rows_without_a_finite_maximum_are_nan
76. targets out of range where Python cannot look are errors at run time
    loss/test_engine_choice::test_a_target_that_is_no_class_is_an_error_at_run_time
    loss/test_parity::test_targets_are_checked_inside_of_transforms
77. dim with sparse counts is obeyed
    loss/test_validation::test_classes_of_sparse_counts_in_any_dimension
78. targets that have a gradient get one
    loss/test_engines::test_targets_have_gradients
79. terms below the smallest normal number and counts of 1e15 keep their digits
    loss/test_compiled_scores::test_small_differences_of_smaller_terms
    loss/test_functional::test_sums_of_counts_hold_a_block_in_float64
80. tuples, class numbers, masks, classes last: the cure fits the mistake
    loss/test_validation::test_misuse_is_an_error_with_its_cure
    loss/test_validation::test_what_looks_like_a_mistake_is_warned_of
    loss/test_validation::test_what_is_right_is_not_warned_of
"""
FAULTS = [
    (int(number), " ".join(line.split()), re.findall(r"^    (\S+)$", tests, re.M))
    for number, line, tests in re.findall(
        r"^(\d+)\. (.*(?:\n  \S.*)*)\n((?:    \S+\n)*)", TABLE, re.M
    )
]


@cache
def functions_of(file):
    tree = ast.parse((TESTS / f"{file}.py").read_text())
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize(("number", "line", "tests"), FAULTS, ids=lambda value: str(value)[:60])
def test_each_line_has_its_tests(number, line, tests):
    assert tests, f"{number}. {line}"
    for test in tests:
        file, _, name = test.partition("::")
        assert name in functions_of(file), f"{number}. {line}: there is no {test}"


def test_the_page_of_security_names_tests_that_exist():
    tests = re.findall(r"`([\w/]+)::(\w+)`", (TESTS.parent / "SECURITY.md").read_text())
    assert len(tests) > 10
    for file, name in tests:
        assert name in functions_of(file), f"SECURITY.md: there is no {file}::{name}"


def test_the_lines_are_numbered_and_none_stands_twice():
    assert [number for number, _, _ in FAULTS] == list(range(1, 81))
    assert len({line for _, line, _ in FAULTS}) == len(FAULTS)
    assert sum(len(tests) for _, _, tests in FAULTS) == TABLE.count("::")
