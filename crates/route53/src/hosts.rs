//! The AWS resources that an endpoint may be an alias of, told by host name.

/// `Type` of an endpoint that is an alias.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AliasType {
    CloudFront,
    ApplicationLoadBalancer,
    ClassicLoadBalancer,
    NetworkLoadBalancer,
    ElasticBeanstalk,
    S3Website,
}

impl AliasType {
    pub(crate) const ALL: [Self; 6] = [
        Self::CloudFront,
        Self::ApplicationLoadBalancer,
        Self::ClassicLoadBalancer,
        Self::NetworkLoadBalancer,
        Self::ElasticBeanstalk,
        Self::S3Website,
    ];

    /// The value of `Type`.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::CloudFront => "cloudfront",
            Self::ApplicationLoadBalancer => "application-load-balancer",
            Self::ClassicLoadBalancer => "elastic-load-balancer",
            Self::NetworkLoadBalancer => "network-load-balancer",
            Self::ElasticBeanstalk => "elastic-beanstalk",
            Self::S3Website => "s3-website",
        }
    }

    pub(crate) fn from_text(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|t| t.as_str() == text)
    }

    /// What Route 53 says of a value of the wrong form. The text for Classic
    /// load balancers is AWS's own; the others follow it.
    pub(crate) fn refusal(self) -> &'static str {
        match self {
            Self::CloudFront => "Value is not a valid CloudFront distribution name",
            Self::ApplicationLoadBalancer => {
                "Value is not a valid ELB Application load balancer name"
            }
            Self::ClassicLoadBalancer => "Value is not a valid ELB Classic load balancer name",
            Self::NetworkLoadBalancer => "Value is not a valid ELB Network load balancer name",
            Self::ElasticBeanstalk => "Value is not a valid Elastic Beanstalk environment name",
            Self::S3Website => "Value is not a valid S3 bucket or website endpoint name",
        }
    }

    /// Whether a host name has this type's form. Application and Classic load
    /// balancers share theirs.
    pub(crate) fn accepts(self, host: &str) -> bool {
        let host = normal(host);
        let labels: Vec<&str> = host.split('.').collect();
        if labels.iter().any(|label| !is_label(label)) {
            return false;
        }
        match self {
            Self::CloudFront => is_distribution(&labels),
            Self::ApplicationLoadBalancer | Self::ClassicLoadBalancer => is_load_balancer(&labels),
            Self::NetworkLoadBalancer => is_network_load_balancer(&labels),
            Self::ElasticBeanstalk => is_environment(&labels),
            Self::S3Website => s3_website(&host).is_some(),
        }
    }

    /// The type that an alias of `host` needs. A load balancer whose name
    /// could be of either kind is Classic when it has the `dualstack.` prefix
    /// that the guide advises for these, otherwise Application.
    pub(crate) fn of_host(host: &str) -> Option<Self> {
        let classic = normal(host).starts_with("dualstack.");
        match Self::ALL.into_iter().find(|t| t.accepts(host))? {
            Self::ApplicationLoadBalancer if classic => Some(Self::ClassicLoadBalancer),
            found => Some(found),
        }
    }
}

fn normal(host: &str) -> String {
    let lower = host.to_ascii_lowercase();
    lower.strip_suffix('.').unwrap_or(&lower).to_owned()
}

fn is_label(label: &str) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    (1..=63).contains(&label.len())
        && label.bytes().all(inner)
        && !label.starts_with('-')
        && !label.ends_with('-')
}

/// `amazonaws.com` and its Chinese twin.
fn strip_amazon<'a, 'b>(labels: &'a [&'b str]) -> Option<&'a [&'b str]> {
    labels
        .strip_suffix(&["amazonaws", "com"])
        .or_else(|| labels.strip_suffix(&["amazonaws", "com", "cn"]))
}

fn is_distribution(labels: &[&str]) -> bool {
    matches!(labels, [name, "cloudfront", "net"] if name.len() > 1 && name.starts_with('d')
        && !name.contains('-'))
}

fn is_load_balancer(labels: &[&str]) -> bool {
    let labels = labels.strip_prefix(&["dualstack"]).unwrap_or(labels);
    matches!(strip_amazon(labels), Some([_, region, "elb"]) if is_region_code(region))
}

fn is_network_load_balancer(labels: &[&str]) -> bool {
    let labels = labels.strip_prefix(&["dualstack"]).unwrap_or(labels);
    matches!(strip_amazon(labels), Some([_, "elb", region]) if is_region_code(region))
}

fn is_environment(labels: &[&str]) -> bool {
    let chinese = || strip_amazon(labels)?.strip_suffix(&["eb"]);
    let name = labels
        .strip_suffix(&["elasticbeanstalk", "com"])
        .or_else(chinese);
    // The environment, in newer names a label `eba-…`, and the region: a name
    // without region cannot be the target of an alias.
    matches!(name, Some([_, .., region]) if is_region_code(region))
}

/// Whether a label has the form of a region code, `us-east-1`. New regions
/// appear more often than this program, so the form decides, not a list.
fn is_region_code(label: &str) -> bool {
    let parts: Vec<&str> = label.split('-').collect();
    let letters = |part: &&str| part.bytes().all(|b| b.is_ascii_lowercase()) && !part.is_empty();
    match parts.as_slice() {
        [area, direction @ .., number] => {
            letters(area)
                && !direction.is_empty()
                && direction.iter().all(letters)
                && !number.is_empty()
                && number.bytes().all(|b| b.is_ascii_digit())
        }
        _ => false,
    }
}

/// The region of a website endpoint of S3, with or without a bucket before
/// it: `s3-website-us-east-1.amazonaws.com` or `s3-website.us-east-2…`.
pub(crate) fn s3_website(host: &str) -> Option<String> {
    let host = normal(host);
    let labels: Vec<&str> = host.split('.').collect();
    match strip_amazon(&labels)? {
        [.., "s3-website", region] if is_region_code(region) => Some((*region).to_owned()),
        [.., last] => last
            .strip_prefix("s3-website-")
            .filter(|region| is_region_code(region))
            .map(str::to_owned),
        [] => None,
    }
}

/// Whether `name` can be the name of an S3 bucket: 3 to 63 lower case
/// letters, digits, dots and hyphens.
pub(crate) fn is_bucket(name: &str) -> bool {
    (3..=63).contains(&name.len()) && name.split('.').all(is_label)
}

/// Regions whose website endpoints have a hyphen before the region; all
/// others have a dot (S3 user guide, website endpoints).
const HYPHEN_REGIONS: [&str; 9] = [
    "ap-northeast-1",
    "ap-southeast-1",
    "ap-southeast-2",
    "eu-west-1",
    "sa-east-1",
    "us-east-1",
    "us-gov-west-1",
    "us-west-1",
    "us-west-2",
];

/// The website endpoint of a bucket.
pub(crate) fn website_of_bucket(bucket: &str, region: &str) -> String {
    let separator = if HYPHEN_REGIONS.contains(&region) {
        '-'
    } else {
        '.'
    };
    let china = if region.starts_with("cn-") { ".cn" } else { "" };
    format!("{bucket}.s3-website{separator}{region}.amazonaws.com{china}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use AliasType::{
        ApplicationLoadBalancer as Alb, ClassicLoadBalancer as Classic, CloudFront,
        ElasticBeanstalk, NetworkLoadBalancer as Nlb, S3Website,
    };

    #[test]
    fn host_names_tell_their_type() {
        let cases = [
            ("d111111abcdef8.cloudfront.net", CloudFront),
            ("web-1234567890.us-east-1.elb.amazonaws.com", Alb),
            ("internal-web-123.eu-west-1.elb.amazonaws.com.", Alb),
            ("dualstack.web-123.us-gov-west-1.elb.amazonaws.com", Classic),
            ("web-0123456789abcdef.elb.us-west-2.amazonaws.com", Nlb),
            ("web-0123.elb.cn-north-1.amazonaws.com.cn", Nlb),
            ("shop.eu-west-1.elasticbeanstalk.com", ElasticBeanstalk),
            (
                "shop.eba-ab12cd34.us-east-2.elasticbeanstalk.com",
                ElasticBeanstalk,
            ),
            ("shop.cn-north-1.eb.amazonaws.com.cn", ElasticBeanstalk),
            (
                "www.example.com.s3-website-us-east-1.amazonaws.com",
                S3Website,
            ),
            (
                "www.example.com.s3-website.eu-central-1.amazonaws.com",
                S3Website,
            ),
        ];
        for (host, kind) in cases {
            assert_eq!(AliasType::of_host(host), Some(kind), "{host}");
            assert!(kind.accepts(host), "{host}");
        }
    }

    #[test]
    fn other_host_names_have_none() {
        let hosts = [
            "lb.example.com",
            "cloudfront.net",
            "d.cloudfront.net",
            "x123.cloudfront.net",
            "web-1.elb.amazonaws.com",
            "web-1.useast1.elb.amazonaws.com",
            "shop.elasticbeanstalk.com",
            "-web.us-east-1.elb.amazonaws.com",
            "we b.us-east-1.elb.amazonaws.com",
            "s3.us-east-1.amazonaws.com",
            "",
            ".",
            "..",
        ];
        for host in hosts {
            assert_eq!(AliasType::of_host(host), None, "{host}");
        }
    }

    #[test]
    fn region_and_elb_change_places_between_classic_and_network() {
        let network = "web-0123456789abcdef.elb.us-east-1.amazonaws.com";
        assert!(!Classic.accepts(network) && !Alb.accepts(network));
        let classic = "web-123.us-east-1.elb.amazonaws.com";
        assert!(Classic.accepts(classic) && Alb.accepts(classic) && !Nlb.accepts(classic));
    }

    #[test]
    fn a_bucket_gets_its_website_endpoint() {
        for region in ["us-east-1", "us-east-2", "cn-north-1"] {
            let host = website_of_bucket("www.example.com", region);
            assert_eq!(s3_website(&host).as_deref(), Some(region), "{host}");
        }
        for bad in ["ab", "Bucket", "a..b", "a_b", "bucket-"] {
            assert!(!is_bucket(bad), "{bad}");
        }
    }
}
