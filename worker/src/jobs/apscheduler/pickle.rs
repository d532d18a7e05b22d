//! Python's pickles, read as what they say and never executed.
//!
//! A pickle is a program for a small stack machine that makes objects. This machine makes a tree of
//! what each object would be made of: nothing is imported, nothing called. It knows the opcodes that
//! protocols 2 to 5 use for plain values and objects; whatever else stands in one is refused.

/// The longest pickle that is read, in bytes: a cron field has about 200.
const MAX_BYTES: usize = 64 * 1024;

/// A tree of values.
#[derive(Debug)]
pub(super) struct Pickle {
    nodes: Vec<Node>,
    root: usize,
}

/// A value, whose parts are other nodes.
#[derive(Debug)]
enum Node {
    None,
    Bool(bool),
    Int(i64),
    Float,
    Bytes(Vec<u8>),
    Text(String),
    /// A list, a tuple or a set.
    Sequence(Vec<usize>),
    Dict(Vec<(usize, usize)>),
    /// `module:name`.
    Global(String),
    /// What a callable makes of its arguments, and the state that it is given then.
    Made {
        callable: usize,
        args: usize,
        state: Option<usize>,
    },
    Mark,
}

/// A value of a pickle.
#[derive(Clone, Copy)]
pub(super) struct Item<'a> {
    pickle: &'a Pickle,
    at: usize,
}

impl<'a> Item<'a> {
    fn node(self) -> &'a Node {
        &self.pickle.nodes[self.at]
    }

    const fn other(self, at: usize) -> Self {
        Self { at, ..self }
    }

    pub(super) fn text(self) -> Option<&'a str> {
        match self.node() {
            Node::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(super) fn int(self) -> Option<i64> {
        match self.node() {
            Node::Int(int) => Some(*int),
            _ => None,
        }
    }

    pub(super) fn is_true(self) -> bool {
        matches!(self.node(), Node::Bool(true))
    }

    pub(super) fn bytes(self) -> Option<&'a [u8]> {
        match self.node() {
            Node::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }

    pub(super) fn items(self) -> Vec<Self> {
        match self.node() {
            Node::Sequence(items) => items.iter().map(|at| self.other(*at)).collect(),
            _ => Vec::new(),
        }
    }

    /// What makes this object: `datetime:datetime`; of what an attribute of a class makes, that of the
    /// class: `zoneinfo:ZoneInfo`.
    pub(super) fn class(self) -> Option<&'a str> {
        let Node::Made { callable, .. } = self.node() else {
            return None;
        };
        let callable = self.other(*callable);
        match callable.node() {
            Node::Global(name) => Some(name),
            Node::Made { .. } if callable.class() == Some("builtins:getattr") => {
                match callable.args().first()?.node() {
                    Node::Global(name) => Some(name),
                    _ => None,
                }
            }
            _ => None,
        }
    }

    /// The arguments that this object is made with.
    pub(super) fn args(self) -> Vec<Self> {
        match self.node() {
            Node::Made { args, .. } => self.other(*args).items(),
            _ => Vec::new(),
        }
    }

    /// A field of the state that this object is given.
    pub(super) fn field(self, name: &str) -> Option<Self> {
        let Node::Made {
            state: Some(state), ..
        } = self.node()
        else {
            return None;
        };
        let Node::Dict(fields) = &self.pickle.nodes[*state] else {
            return None;
        };
        let found = fields
            .iter()
            .find(|(key, _)| self.other(*key).text() == Some(name));
        found.map(|(_, value)| self.other(*value))
    }

    /// What it is, for people.
    pub(super) fn describe(self) -> String {
        match self.class() {
            Some(class) => format!("a {}", class.replace(':', ".")),
            None => "a Python object".to_owned(),
        }
    }
}

impl Pickle {
    /// Reads a pickle; says what cannot be read of it.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, String> {
        if bytes.len() > MAX_BYTES {
            return Err(format!("a pickle of {} bytes: too long", bytes.len()));
        }
        let mut machine = Machine {
            bytes,
            at: 0,
            nodes: Vec::new(),
            stack: Vec::new(),
            memo: Vec::new(),
        };
        let root = machine.run().ok_or_else(|| {
            let at = machine.at.saturating_sub(1);
            format!("a pickle that is damaged or unusual, at byte {at}")
        })?;
        Ok(Self {
            nodes: machine.nodes,
            root,
        })
    }

    pub(super) const fn root(&self) -> Item<'_> {
        Item {
            pickle: self,
            at: self.root,
        }
    }
}

/// The stack machine. Each opcode makes one node at most, so there are no more than bytes.
struct Machine<'b> {
    bytes: &'b [u8],
    at: usize,
    nodes: Vec<Node>,
    stack: Vec<usize>,
    memo: Vec<usize>,
}

impl Machine<'_> {
    /// The value that is made; none where it cannot be read.
    fn run(&mut self) -> Option<usize> {
        loop {
            match self.byte()? {
                b'.' => return self.stack.pop(),
                opcode => self.step(opcode)?,
            }
        }
    }

    fn step(&mut self, opcode: u8) -> Option<()> {
        match opcode {
            // PROTO and FRAME.
            0x80 => drop(self.take(1)?),
            0x95 => drop(self.take(8)?),
            b'N' => self.push(Node::None),
            0x88 => self.push(Node::Bool(true)),
            0x89 => self.push(Node::Bool(false)),
            b'K' | b'M' | b'J' | 0x8a => {
                let int = self.int(opcode)?;
                self.push(Node::Int(int));
            }
            b'G' => {
                self.take(8)?;
                self.push(Node::Float);
            }
            b'C' | b'B' => {
                let length = self.length(if opcode == b'C' { 1 } else { 4 })?;
                let bytes = self.take(length)?.to_vec();
                self.push(Node::Bytes(bytes));
            }
            0x8c | b'X' => {
                let length = self.length(if opcode == 0x8c { 1 } else { 4 })?;
                let text = String::from_utf8(self.take(length)?.to_vec()).ok()?;
                self.push(Node::Text(text));
            }
            b'(' => self.push(Node::Mark),
            b')' | b']' | 0x8f => self.push(Node::Sequence(Vec::new())),
            b'}' => self.push(Node::Dict(Vec::new())),
            0x85..=0x87 => {
                let from = self.stack.len().checked_sub(usize::from(opcode - 0x84))?;
                let items = self.stack.split_off(from);
                self.push(Node::Sequence(items));
            }
            // TUPLE, FROZENSET.
            b't' | 0x91 => {
                let items = self.since_mark()?;
                self.push(Node::Sequence(items));
            }
            // APPEND; APPENDS, ADDITEMS.
            b'a' => {
                let item = self.stack.pop()?;
                self.sequence()?.push(item);
            }
            b'e' | 0x90 => {
                let items = self.since_mark()?;
                self.sequence()?.extend(items);
            }
            // SETITEM, SETITEMS.
            b's' => {
                let (value, key) = (self.stack.pop()?, self.stack.pop()?);
                self.dict()?.push((key, value));
            }
            b'u' => {
                let items = self.since_mark()?;
                let pairs = items.chunks_exact(2).map(|pair| (pair[0], pair[1]));
                self.dict()?.extend(pairs);
            }
            _ => return self.make(opcode),
        }
        Some(())
    }

    /// Opcodes of the memo and of objects.
    fn make(&mut self, opcode: u8) -> Option<()> {
        match opcode {
            0x94 => {
                let top = *self.stack.last()?;
                self.memo.push(top);
            }
            b'h' | b'j' => {
                let place = self.length(if opcode == b'h' { 1 } else { 4 })?;
                let found = *self.memo.get(place)?;
                self.stack.push(found);
            }
            // BINPUT: memos are numbered in order.
            b'q' | b'r' => {
                let place = self.length(if opcode == b'q' { 1 } else { 4 })?;
                let top = *self.stack.last()?;
                (place == self.memo.len()).then(|| self.memo.push(top))?;
            }
            // STACK_GLOBAL, GLOBAL.
            0x93 => {
                let (name, module) = (self.stack.pop()?, self.stack.pop()?);
                let global = format!("{}:{}", self.text(module)?, self.text(name)?);
                self.push(Node::Global(global));
            }
            b'c' => {
                let global = format!("{}:{}", self.line()?, self.line()?);
                self.push(Node::Global(global));
            }
            // REDUCE, NEWOBJ.
            b'R' | 0x81 => {
                let (args, callable) = (self.stack.pop()?, self.stack.pop()?);
                let state = None;
                self.push(Node::Made {
                    callable,
                    args,
                    state,
                });
            }
            b'b' => {
                let given = self.stack.pop()?;
                match &mut self.nodes[*self.stack.last()?] {
                    Node::Made { state, .. } => *state = Some(given),
                    _ => return None,
                }
            }
            _ => return None,
        }
        Some(())
    }

    fn push(&mut self, node: Node) {
        self.stack.push(self.nodes.len());
        self.nodes.push(node);
    }

    fn since_mark(&mut self) -> Option<Vec<usize>> {
        let is_mark = |at: &usize| matches!(self.nodes[*at], Node::Mark);
        let mark = self.stack.iter().rposition(is_mark)?;
        let items = self.stack.split_off(mark + 1);
        self.stack.pop();
        Some(items)
    }

    fn sequence(&mut self) -> Option<&mut Vec<usize>> {
        match &mut self.nodes[*self.stack.last()?] {
            Node::Sequence(items) => Some(items),
            _ => None,
        }
    }

    fn dict(&mut self) -> Option<&mut Vec<(usize, usize)>> {
        match &mut self.nodes[*self.stack.last()?] {
            Node::Dict(pairs) => Some(pairs),
            _ => None,
        }
    }

    fn text(&self, at: usize) -> Option<&str> {
        match &self.nodes[at] {
            Node::Text(text) => Some(text),
            _ => None,
        }
    }

    fn byte(&mut self) -> Option<u8> {
        Some(self.take(1)?[0])
    }

    fn take(&mut self, count: usize) -> Option<&[u8]> {
        let taken = self.bytes.get(self.at..self.at.checked_add(count)?)?;
        self.at += count;
        Some(taken)
    }

    /// A little-endian number of so many bytes.
    fn length(&mut self, bytes: usize) -> Option<usize> {
        let taken = self.take(bytes)?.iter().rev();
        Some(taken.fold(0, |number, byte| number << 8 | usize::from(*byte)))
    }

    fn int(&mut self, opcode: u8) -> Option<i64> {
        let bytes = match opcode {
            b'K' => 1,
            b'M' => 2,
            b'J' => 4,
            _ => usize::from(self.byte()?),
        };
        let taken = self.take(bytes)?;
        if taken.len() > 8 {
            return None;
        }
        let number = taken
            .iter()
            .rev()
            .fold(0_i64, |number, byte| number << 8 | i64::from(*byte));
        // The two that have a sign keep it in their highest bit.
        let is_signed = matches!(opcode, b'J' | 0x8a) && bytes < 8;
        let is_negative = is_signed && taken.last().is_some_and(|byte| *byte >= 0x80);
        Some(if is_negative {
            number - (1_i64 << (8 * bytes))
        } else {
            number
        })
    }

    fn line(&mut self) -> Option<String> {
        let rest = &self.bytes[self.at..];
        let length = rest.iter().position(|byte| *byte == b'\n')?;
        let line = String::from_utf8(rest[..length].to_vec()).ok()?;
        self.at += length + 1;
        Some(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_values_are_read() {
        // pickle.dumps([1, -2, 70000, -5_000_000_000, "ä", None, True, b"x", (1, 2), {"a": 1}], 4)
        let bytes =
            b"\x80\x04\x95,\x00\x00\x00\x00\x00\x00\x00]\x94(K\x01J\xfe\xff\xff\xffJp\x11\x01\x00\
            \x8a\x05\x00\x0e\xfa\xd5\xfe\x8c\x02\xc3\xa4\x94N\x88C\x01x\x94K\x01K\x02\x86\x94}\x94\
            \x8c\x01a\x94K\x01se.";
        let pickle = Pickle::read(bytes).unwrap();
        let items = pickle.root().items();
        let ints: Vec<_> = items.iter().filter_map(|item| item.int()).collect();
        assert_eq!(ints, [1, -2, 70_000, -5_000_000_000]);
        assert_eq!(items[4].text(), Some("ä"));
        assert!(matches!(items[5].node(), Node::None) && items[6].is_true());
        assert_eq!(items[7].bytes(), Some(&b"x"[..]));
        assert_eq!(items[8].items().len(), 2);
    }

    #[test]
    fn what_would_be_executed_is_only_told() {
        // The well-known attack: os.system("touch x")
        let bytes = b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x07touch x\x85R.";
        let pickle = Pickle::read(bytes).unwrap();
        assert_eq!(pickle.root().describe(), "a os.system");
        assert_eq!(pickle.root().args()[0].text(), Some("touch x"));
    }

    #[test]
    fn no_bytes_do_harm() {
        let mut state = 7_u32;
        let mut random = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        for length in 0..2_000 {
            let bytes: Vec<u8> = (0..length % 60).map(|_| random()).collect();
            if let Ok(pickle) = Pickle::read(&bytes) {
                let root = pickle.root();
                drop((root.describe(), root.items().len(), root.args().len()));
            }
        }
        for bad in [
            &b""[..],
            b".",
            b"\x80",
            b"]e.",
            b"R.",
            b"h\x00.",
            b"(b.",
            b"\x8a\xff.",
        ] {
            assert!(Pickle::read(bad).is_err(), "{bad:?}");
        }
        assert!(Pickle::read(&vec![b'N'; 70_000]).is_err());
    }
}
