package importer

func stytch(*Builder) Vendor { return Vendor{Name: "stytch"} }
