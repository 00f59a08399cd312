/**
 * Reads MariaDB's own test files: the statements in their order, with what stands around them left out. No server here, and
 * no judgement of a statement. The language is that of `mysqltest` (manual: mysqltest and mysqltest-embedded).
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** One statement as the test would send it. */
export interface Step {
  readonly sql: string;
  readonly file: string;
  /** 1-based line of its begin. */
  readonly line: number;
}

export interface TestFile {
  readonly steps: readonly Step[];
  /** What was left out: how many of each. */
  readonly skipped: ReadonlyMap<string, number>;
  /** Why the file as a whole can't be run; null when it can. */
  readonly unfit: string | null;
}

/** mysqltest's commands that take the place of a statement, and are not followed here. */
const commands = new Set(
  `append_file assert cat_file change_user character_set chmod connect connection copy_file copy_files_wildcard
  dec delimiter die diff_files dirty_close disable_abort_on_error disable_async_client disable_cursor_protocol
  disable_column_names disable_connect_log disable_info disable_metadata disable_non_blocking_api
  disable_parsing disable_prepare_warnings disable_ps2_protocol disable_ps_protocol disable_query_log
  disable_reconnect disable_result_log disable_rpl_parse disable_service_connection disable_session_track_info
  disable_testcase disable_view_protocol disable_warnings disconnect echo enable_abort_on_error
  enable_async_client enable_column_names enable_connect_log enable_cursor_protocol enable_info enable_metadata
  enable_non_blocking_api enable_parsing enable_prepare_warnings enable_ps2_protocol enable_ps_protocol
  enable_query_log enable_reconnect enable_result_log enable_rpl_parse enable_service_connection
  enable_session_track_info enable_testcase enable_view_protocol enable_warnings end error eval evalp exec
  exit file_exists force-cpdir force-rmdir force_cpdir force_rmdir horizontal_results if inc let list_files
  list_files_append_file list_files_write_file lowercase_result mkdir move_file output perl ping query
  query_attributes query_get_value query_horizontal query_vertical real_sleep reap reap_async remove_file
  remove_files_wildcard replace_column replace_numeric_round replace_regex replace_result require
  reset_connection result result_format rmdir save_master_pos send send_eval send_quit send_shutdown
  shutdown_server skip sleep sorted_result source start_timer sync_slave_with_master sync_with_master system
  tab_result timer_start vertical_results wait_for_slave_to_stop while write_file enable_result_log
  optimizer_trace partially_sorted_result block_stmt`
    .split(/\s+/)
    .filter((word) => word !== 'optimizer_trace'),
);
/** Followed by lines that are no statements, up to a line with their end. */
const withText = new Set(['perl', 'write_file', 'append_file']);
/** A condition of the machine or the build, waiting, restarts: nothing to send. */
const leftOutIncludes =
  /^(have_|no_|not_|big_|long_|count_|wait_|restart|start_|shutdown|kill|crash|expect|master|rpl|maybe_|check_|search_pattern|analyze-format|explain-no-costs|add_anonymous|delete_anonymous|running_event|linux|windows|is_|galera|write_result|grep|mysqldump|printf|percona|word_size|assert)/;
const unfitIncludes =
  /(have_debug|have_debug_sync|is_embedded|windows|have_wsrep|galera|have_perfschema|restart_mysqld|master-slave|big_test|have_des|have_crypt|have_file_key)/;

/**
 * Reads a test with what it includes.
 * @param root the folder that has `main`, `include` and `suite`
 */
export function readTest(root: string, file: string): TestFile {
  const reader = new TestReader(root);
  reader.read(join(root, file), file);
  return reader;
}

class TestReader implements TestFile {
  readonly steps: Step[] = [];
  readonly skipped = new Map<string, number>();
  unfit: string | null = null;
  readonly #root: string;
  readonly #variables = new Map<string, string>();
  #delimiter = ';';
  #connection = 'default';
  #ended = false;
  #parsing = true;
  #depth = 0;

  constructor(root: string) {
    this.#root = root;
  }

  #skip(what: string): void {
    this.skipped.set(what, (this.skipped.get(what) ?? 0) + 1);
  }

  read(path: string, file: string): void {
    const bytes = readFileSync(path);
    const text = bytes.toString('utf8');
    if (this.#depth > 8) return;
    this.#depth++;
    this.#walk(text, file);
    this.#depth--;
  }

  #walk(text: string, file: string): void {
    let at = 0;
    let line = 1;
    /** Blocks open: whether what is in each is left out. */
    const blocks: boolean[] = [];
    while (at < text.length && !this.#ended) {
      const c = text[at]!;
      if (c === '\n') {
        line++;
        at++;
        continue;
      }
      if (/\s/.test(c)) {
        at++;
        continue;
      }
      const eol = text.indexOf('\n', at) < 0 ? text.length : text.indexOf('\n', at);
      if (c === '#') {
        at = eol;
        continue;
      }
      if (c === '}') {
        blocks.pop();
        at++;
        continue;
      }
      if (c === '{') {
        at++;
        continue;
      }
      let command: string;
      const began = line;
      if (text.startsWith('--', at)) {
        command = text.slice(at + 2, eol).trim();
        at = eol;
      } else if (text.startsWith(this.#delimiter, at)) {
        at += this.#delimiter.length;
        continue;
      } else {
        const end = this.#end(text, at);
        command = text.slice(at, end.at).trim();
        line += text.slice(at, end.behind).split('\n').length - 1;
        at = end.behind;
      }
      const word = /^[a-z_-]+/i.exec(command)?.[0].toLowerCase() ?? '';
      const left = blocks.some((one) => one);
      if (word === 'if' || word === 'while') {
        if (!command.includes('(')) continue;
        // A loop's body is read once; what stands under a condition is not.
        if (word === 'if') this.#skip('if');
        blocks.push(word === 'if');
        continue;
      }
      if (withText.has(word)) {
        const mark = word === 'perl' ? /^perl\s+(\w+)/i.exec(command)?.[1] : command.split(/\s+/)[2];
        const stop = new RegExp(`^${mark ?? 'EOF'}\\s*$`, 'm').exec(text.slice(at));
        const behind = stop === null ? text.length : at + stop.index + stop[0].length;
        line += text.slice(at, behind).split('\n').length - 1;
        at = behind;
        continue;
      }
      if (word === 'enable_parsing') this.#parsing = true;
      if (left || !this.#parsing) continue;
      this.#obey(word, command, file, began);
    }
  }

  /** Where the command that begins at an offset ends, and what comes behind its delimiter. */
  #end(text: string, from: number): { at: number; behind: number } {
    let quote = '';
    const block = /^(if|while)\s*\(/i.test(text.slice(from, from + 40));
    for (let i = from; i < text.length; i++) {
      const c = text[i]!;
      if (quote !== '') {
        if (c === '\\' && quote !== '`') i++;
        else if (c === quote) quote = '';
        continue;
      }
      if (text.startsWith(this.#delimiter, i)) return { at: i, behind: i + this.#delimiter.length };
      if (block && c === '{') return { at: i, behind: i + 1 };
      if (c === "'" || c === '"' || c === '`') quote = c;
    }
    return { at: text.length, behind: text.length };
  }

  #obey(word: string, command: string, file: string, line: number): void {
    const rest = command.slice(word.length).trim();
    switch (word) {
      case 'delimiter':
        this.#delimiter = rest.split(/\s/)[0] || ';';
        return;
      case 'disable_parsing':
        this.#parsing = false;
        return;
      case 'exit':
      case 'skip':
      case 'die':
        this.#ended = true;
        return;
      case 'source':
        this.#include(rest.replace(/;$/, ''));
        return;
      case 'let': {
        const found = /^\$(\w+)\s*=\s*([\s\S]*)$/.exec(
          rest.replace(new RegExp(`${this.#delimiter === ';' ? ';' : '\u0000'}$`), ''),
        );
        if (found === null) return;
        const value = this.#substituted(found[2]!.trim());
        if (value === null || /^`|query_get_value|\$/.test(value)) {
          this.#variables.delete(found[1]!);
          this.#skip('let');
        } else this.#variables.set(found[1]!, value);
        return;
      }
      case 'connect':
        this.#connection = /^\(?\s*([\w$]+)/.exec(rest)?.[1] ?? 'default';
        return;
      case 'connection':
        this.#connection = rest.replace(/;$/, '');
        return;
      case 'eval':
      case 'evalp': {
        const sql = this.#substituted(rest);
        if (sql === null) this.#skip('eval');
        else this.#step(sql, file, line);
        return;
      }
      case 'query_vertical':
      case 'query_horizontal':
      case 'query':
        this.#step(rest, file, line);
        return;
      case 'send':
      case 'send_eval':
        this.#skip('send');
        return;
    }
    if (commands.has(word) && !/^(end|result|output|require|query_attributes)$/.test(word)) return;
    this.#step(command, file, line);
  }

  #step(text: string, file: string, line: number): void {
    if (text === '') return;
    if (this.#connection !== 'default') {
      this.#skip('on another connection');
      return;
    }
    if (text.includes('\ufffd')) {
      this.#skip('not in UTF-8');
      return;
    }
    this.steps.push({ sql: text, file, line });
  }

  /** The text with each known `$name` in it replaced; null when one isn't known. */
  #substituted(text: string): string | null {
    let known = true;
    const done = text.replace(/\$\{?(\w+)\}?/g, (whole, name: string) => {
      const value = this.#variables.get(name);
      if (value === undefined) known = false;
      return value ?? whole;
    });
    return known ? done : null;
  }

  #include(name: string): void {
    const base = name.split('/').at(-1) ?? '';
    if (unfitIncludes.test(name)) this.unfit ??= base;
    if (leftOutIncludes.test(base) || name.includes('$')) {
      this.#skip('source');
      return;
    }
    const path = [join(this.#root, name), join(this.#root, 'main', name)].find((one) => existsSync(one));
    if (path === undefined) this.#skip('source');
    else this.read(path, base);
  }
}
