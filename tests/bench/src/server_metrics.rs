//! What the server says of itself.

use anyhow::{Context as _, Result, bail};
use postern_e2e::client::{Call, Client, Protocol};

/// The metrics of one moment.
#[derive(Debug)]
pub struct ServerMetrics(String);

impl ServerMetrics {
    /// Asks for them, at the server's port for metrics.
    pub async fn read(port: u16) -> Result<Self> {
        let answer = Client::new(Protocol::Http1, port).try_send(&Call::get("/metrics")).await;
        let answer = answer.map_err(anyhow::Error::msg).context("reading the server's metrics")?;
        if answer.status != 200 {
            bail!("the server's metrics: {answer}");
        }
        Ok(Self(answer.text()))
    }

    /// The sum of a metric's samples, whatever their labels; 0 when there is none yet.
    pub fn sum(&self, name: &str) -> f64 {
        self.sum_where(name, |_| true)
    }

    /// The same of the samples with this label, as in `outcome="granted"`.
    pub fn sum_with(&self, name: &str, label: &str) -> f64 {
        self.sum_where(name, |labels| labels.split(',').any(|one| one == label))
    }

    fn sum_where(&self, name: &str, is_meant: impl Fn(&str) -> bool) -> f64 {
        let samples = self.0.lines().filter_map(|line| {
            let rest = line.strip_prefix(name)?;
            // Another metric's name may begin with this one.
            let (labels, value) = match rest.strip_prefix('{') {
                Some(labelled) => labelled.rsplit_once('}')?,
                None => ("", rest.strip_prefix(' ')?),
            };
            value.trim().parse::<f64>().ok().filter(|_| is_meant(labels))
        });
        samples.sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_add_up() {
        let text = "# HELP a_total As\na_total{outcome=\"x\",service=\"s\"} 2\n\
                    a_total{outcome=\"y} \",service=\"s\"} 3\na_total_more{} 100\nb 0.5\n";
        let metrics = ServerMetrics(text.to_owned());
        for (name, expected) in [("a_total", 5.0), ("b", 0.5), ("c", 0.0), ("a", 0.0)] {
            assert!((metrics.sum(name) - expected).abs() < 1e-9, "{name}");
        }
        for (label, expected) in [("outcome=\"x\"", 2.0), ("service=\"s\"", 5.0), ("outcome", 0.0)]
        {
            assert!((metrics.sum_with("a_total", label) - expected).abs() < 1e-9, "{label}");
        }
        assert!(metrics.sum_with("b", "outcome=\"x\"").abs() < 1e-9);
    }
}
