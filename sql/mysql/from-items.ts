/** What stands behind a name in FROM, and the one function that stands in place of a table there, on their way into a skeleton. */
import { Emitter, type Frame } from './emitter.ts';
import { literalKinds, reservedWords } from './words.ts';

export class TableEmitter extends Emitter {
  /** In WITH and FROM a parenthesis after a name opens a list of columns, not a call. */
  protected namesList(frame: Frame): boolean {
    return frame.clause === 'with' || frame.clause === 'from';
  }

  protected aliasColumns(): void {
    const leaf = this.leaves[this.leaves.length - 1];
    const end = this.close[this.i] ?? -1;
    const previous = this.tokens[(leaf?.kind === 'name' ? leaf.token : 0) - 1]?.upper;
    if (leaf?.kind !== 'name' || (previous !== ')' && previous !== 'AS')) this.refuse('a table function');
    const columns: string[] = [];
    for (let j = this.i + 1; j < end; j += 2) {
      const token = this.tokens[j];
      if ((token?.kind !== 'word' && token?.kind !== 'quoted') || (j + 1 < end && this.upper(j + 1) !== ','))
        this.refuse('a malformed column list');
      columns.push(token.value);
    }
    leaf.columns = columns;
    this.i = end + 1;
  }

  /** USE / FORCE / IGNORE INDEX (...), PARTITION (...): which rows' pages are looked at, never which values. */
  protected indexHints(): void {
    for (;;) {
      const word = this.upper();
      const next = this.upper(this.i + 1);
      if (word === 'PARTITION' && next === '(') {
        this.i = (this.close[this.i + 1] ?? this.i) + 1;
        continue;
      }
      if (word === 'FOR' && next === 'SYSTEM_TIME') {
        this.systemTime();
        continue;
      }
      if ((word !== 'USE' && word !== 'FORCE' && word !== 'IGNORE') || (next !== 'INDEX' && next !== 'KEY'))
        return;
      let j = this.i + 2;
      if (this.upper(j) === 'FOR') {
        j++;
        j += this.upper(j) === 'JOIN' ? 1 : 2;
      }
      if (this.upper(j) !== '(') this.refuse('a malformed index hint');
      this.i = (this.close[j] ?? j) + 1;
      if (this.upper() === ',')
        this.i +=
          ['USE', 'FORCE', 'IGNORE'].includes(this.upper(this.i + 1)) &&
          ['INDEX', 'KEY'].includes(this.upper(this.i + 2))
            ? 1
            : 0;
    }
  }

  /** FOR SYSTEM_TIME ALL, AS OF t, BETWEEN t AND t, FROM t TO t: older rows of the same table. Times are no expressions here. */
  private systemTime(): void {
    const leaf = this.leaves[this.leaves.length - 1];
    if (leaf?.kind === 'name') leaf.fixed = true;
    this.i += 2;
    if (this.upper() === 'ALL') {
      this.i++;
      return;
    }
    const second = { AS: '', BETWEEN: 'AND', FROM: 'TO' }[this.upper()];
    if (second === undefined) this.refuse('FOR SYSTEM_TIME of this form');
    this.i += this.upper() === 'AS' && this.upper(this.i + 1) === 'OF' ? 2 : 1;
    this.pointInTime();
    if (second === '') return;
    if (this.upper() !== second) this.refuse('FOR SYSTEM_TIME of this form');
    this.i++;
    this.pointInTime();
  }

  private pointInTime(): void {
    if (this.upper() === 'TIMESTAMP' || this.upper() === 'TRANSACTION' || this.upper() === 'DATE') this.i++;
    if (this.kind() === 'user_variable' || literalKinds.has(this.kind())) {
      this.i++;
      return;
    }
    if (!['NOW', 'CURRENT_TIMESTAMP'].includes(this.upper())) this.refuse('FOR SYSTEM_TIME of this form');
    this.i++;
    if (this.upper() !== '(') return;
    if (this.kind(this.i + 1) === 'number') this.i++;
    if (this.upper(this.i + 1) !== ')') this.refuse('FOR SYSTEM_TIME of this form');
    this.i += 2;
  }

  /**
   * JSON_TABLE(expression, 'path' COLUMNS (...)) AS name: to the parser a derived table of one column, made of the
   * expression, which may name the tables before it; `columns` of its alias are what it is spread into.
   */
  protected jsonTable(): void {
    this.telling();
    this.out.push('lateral', '(', 'select', this.call('json_table', 'JSON_TABLE'), '(');
    this.i++;
    this.push('call', 'expression', 'JSON_TABLE', ') )');
  }

  /** Behind the expression: the path, the columns, and then the alias that has to be there. */
  protected jsonColumns(frame: Frame): void {
    if (this.kind() !== 'string' || this.upper(this.i + 1) !== 'COLUMNS' || this.upper(this.i + 2) !== '(')
      this.refuse('JSON_TABLE of this form');
    const columns: string[] = [];
    const end = this.close[this.i + 2] ?? -1;
    this.i += 3;
    this.jsonColumnList(end, columns);
    this.i = end + 1;
    if (this.upper() !== ')' || columns.length === 0) this.refuse('JSON_TABLE of this form');
    this.frames.pop();
    this.out.push(...frame.closers.split(' '));
    this.i++;
    if (this.upper() === 'AS') this.i++;
    const token = this.tokens[this.i];
    if (token?.kind !== 'quoted' && (token?.kind !== 'word' || reservedWords.has(token.upper)))
      this.refuse('JSON_TABLE without an alias');
    this.name([token.value], false, this.i, this.i);
    this.i++;
    const leaf = this.leaves[this.leaves.length - 1];
    if (leaf?.kind === 'name') leaf.columns = columns;
  }

  /** Each column: its name, then words, literals and a type up to the next comma; NESTED has a list of its own. */
  private jsonColumnList(end: number, columns: string[]): void {
    while (this.i < end) {
      if (this.upper() === 'NESTED') {
        this.i += this.upper(this.i + 1) === 'PATH' ? 2 : 1;
        if (
          this.kind() !== 'string' ||
          this.upper(this.i + 1) !== 'COLUMNS' ||
          this.upper(this.i + 2) !== '('
        )
          this.refuse('JSON_TABLE of this form');
        const inner = this.close[this.i + 2] ?? -1;
        this.i += 3;
        this.jsonColumnList(inner, columns);
        this.i = inner + 1;
      } else {
        const token = this.tokens[this.i];
        if (token?.kind !== 'word' && token?.kind !== 'quoted') this.refuse('JSON_TABLE of this form');
        columns.push(token.value);
        this.i++;
        this.type();
      }
      if (this.i < end && this.upper() !== ',') this.refuse('JSON_TABLE of this form');
      this.i++;
    }
  }
}
