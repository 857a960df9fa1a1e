import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { forTerminal, isPrintable, printable } from './printable.ts';

const hostile: readonly [what: string, text: string, shown: string][] = [
  ['an escape sequence', 'a\u001b[2Jb', 'a\ufffd[2Jb'],
  ['one that begins with a single character', 'a\u009b2Jb', 'a\ufffd2Jb'],
  ['a carriage return that covers what was before', 'forged\rreal', 'forged\ufffdreal'],
  ['a line feed', 'a\nb', 'a\ufffdb'],
  ['a bell and a backspace', 'a\u0007\u0008b', 'a\ufffd\ufffdb'],
  ['delete', 'a\u007f', 'a\ufffd'],
  ['U+0000', 'a\0b', 'a\ufffdb'],
  ['separators of lines and paragraphs', 'a\u2028b\u2029c', 'a\ufffdb\ufffdc'],
  ['what turns the text after it', 'a\u202eb\u2066c', 'a\ufffdb\ufffdc'],
  ['half a character', 'a\ud800b', 'a\ufffdb'],
];

describe('text for people is not to hold', () => {
  for (const [what, text, shown] of hostile) {
    test(what, () => {
      assert.equal(isPrintable(text), false);
      assert.equal(printable(text), shown);
      assert.equal(isPrintable(shown), true);
    });
  }
});

describe('text for people may hold', () => {
  for (const [what, text] of [['nothing', ''], ['other letters', 'Zahlungen «ß» 支払い'], ['a joiner of letters', 'می\u200cخواهم'], ['a joiner of emoji', '👩\u200d🚀'], ['a mark of direction', 'a\u200fb'], ['a no-break space', 'a\u00a0b']] as const) {
    test(what, () => {
      assert.equal(isPrintable(text), true);
      assert.equal(printable(text), text);
    });
  }
});

describe('on a terminal', () => {
  const rows: readonly [what: string, text: string, shown: string][] = [
    ['colours stay', '\u001b[1;31mred\u001b[0m \u001b[m', '\u001b[1;31mred\u001b[0m \u001b[m'],
    ['lines and tabs stay', 'a\tb\nc', 'a\tb\nc'],
    ['the screen is not cleared', 'a\u001b[2Jb', 'a\ufffd[2Jb'],
    ['nothing is put on the clipboard', '\u001b]52;c;Y3VybA==\u0007', '\ufffd]52;c;Y3VybA==\ufffd'],
    ['no title is set by a single character', '\u009d0;title\u009c', '\ufffd0;title\ufffd'],
    ['what is there is not written over', 'allowed\rdenied ', 'allowed\ufffddenied '],
    ['an escape at the end of a colour is none', '\u001b[31\u001b[2J', '\ufffd[31\ufffd[2J'],
  ];
  for (const [what, text, shown] of rows) test(what, () => assert.equal(forTerminal(text), shown));
});
