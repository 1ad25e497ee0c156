//! What the storage of the pretend machine answers to Identify commands.

use super::machine::{Machine, State};

impl Machine {
    /// Identify, answered by the storage as it is now.
    pub fn nvme_answers(&self, state: &State, controller: &str, nsid: u32, cns: u8) -> Option<Vec<u8>> {
        let number: u32 = controller.trim_start_matches("/dev/nvme").parse().expect("a controller has a number");
        let nqn = &state.nvme.controllers.get(&number)?.nqn;
        let namespaces = &state.nvme.subsystems.get(nqn)?.namespaces;
        let mut answer = vec![0; 4096];
        if cns == 0x02 {
            let above = namespaces.range(nsid + 1..).map(|(number, _)| number.to_le_bytes());
            above.zip(answer.chunks_exact_mut(4)).for_each(|(number, place)| place.copy_from_slice(&number));
            return Some(answer);
        }
        let namespace = namespaces.get(&nsid)?;
        let bytes = |text: &Option<String>| -> Option<Vec<u8>> {
            let digits: String = text.as_ref()?.chars().filter(|c| *c != '-').collect();
            Some((0..16).map(|i| u8::from_str_radix(&digits[2 * i..2 * i + 2], 16).expect("hexadecimal")).collect())
        };
        match cns {
            0x03 => {
                let mut at = 0;
                for (kind, identity) in [(2, bytes(&namespace.nguid)), (3, bytes(&namespace.uuid))] {
                    let Some(identity) = identity else { continue };
                    answer[at] = kind;
                    answer[at + 1] = 16;
                    answer[at + 4..at + 20].copy_from_slice(&identity);
                    at += 20;
                }
            }
            _ => {
                answer[..8].copy_from_slice(&(namespace.size >> namespace.shift).to_le_bytes());
                answer[25] = 1;
                answer[26] = 1;
                answer[130] = 9;
                answer[134] = namespace.shift;
            }
        }
        Some(answer)
    }
}
