package importer

func frontegg(*Builder) Vendor { return Vendor{Name: "frontegg"} }
